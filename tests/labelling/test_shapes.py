"""Distances between shapes, on synthetic bodies."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.geometry import rigid
from featurelib.labelling.shapes import ShapeJob, shape_distances, shape_of
from featurelib.meshes import Mesh
from featurelib.meshes.pose_search import NUM_POINTS
from featurelib.meshes.reference import build_reference
from featurelib.meshes.writers.ply import ply

COUNT = 8


@pytest.fixture(scope="module")
def meshes() -> list[Mesh]:
    bodies = [make_body(seed, resolution_mm=10) for seed in range(COUNT)]
    return [Mesh.smooth(body.vertices_mm, body.faces) for body in bodies]


@pytest.fixture(scope="module")
def reference(meshes):
    return build_reference(meshes)


@pytest.fixture
def shape(tmp_path, reference):
    """A function that writes a mesh as a file and returns its shape."""

    def of(mesh: Mesh):
        path = tmp_path / "mesh.ply"
        path.write_bytes(ply(mesh.vertices_mm.astype(np.float32), mesh.faces))
        return shape_of(ShapeJob("mesh", str(path), np.eye(4), reference))

    return of


def test_distances_are_those_of_shapes_without_pose_and_size(meshes, reference, shape):
    """The same body, moved, rotated by 20 degrees and enlarged, is nearer to itself than any other body."""
    rotation = Rotation.from_rotvec(np.radians([0, 12, 16])).as_matrix()
    moved = meshes[0].moved(rigid(1.2 * rotation, [30, -20, 50]))

    apart = shape_distances(np.array([shape(mesh) for mesh in [*meshes, moved]]), reference)

    assert apart.shape == (COUNT + 1, COUNT + 1)
    np.testing.assert_allclose(apart, apart.T)
    assert (np.diagonal(apart) == 0).all()
    assert apart[0, COUNT] < 0.2 * apart[0, 1:COUNT].min()


def test_distances_are_millimetres(reference):
    """Points that deviate by 2 mm along each axis differ by the root of 2 * 3 times as much between two objects."""
    deviations = 2 * np.random.default_rng(0).normal(size=(40, *reference.points_mm.shape))

    apart = shape_distances(reference.points_mm + deviations, reference)

    assert apart[np.triu_indices(40, 1)] == pytest.approx(2 * np.sqrt(6), rel=0.1)


def test_one_object_is_at_no_distance(reference):
    assert shape_distances(reference.points_mm[None], reference).tolist() == [[0.0]]


def test_a_mesh_that_cannot_be_read_has_a_reason(tmp_path, reference, shape, meshes):
    """The reason names the file; other objects have the points of the reference."""
    bad = tmp_path / "bad.ply"
    bad.write_bytes(b"ply")

    reason = shape_of(ShapeJob("bad", str(bad), np.eye(4), reference))

    assert reason.startswith("meshes/bad.ply: ")
    assert shape(meshes[0]).shape == (NUM_POINTS, 3)
