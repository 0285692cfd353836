"""Shape descriptors of shapes with known values."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.meshes.registration import angle_deg
from featurelib.meshes.shape import POSE_DEG, best_orientation, invariants, radial_extent, similarity, symmetry
from featurelib.meshes.surface import sample_surface


@pytest.fixture(scope="module")
def bust():
    """Vertices and faces of a synthetic bust."""
    body = make_body(3, resolution_mm=10)
    return body.vertices_mm.astype(float), body.faces


def radii(vertices, faces):
    return radial_extent(sample_surface(vertices, faces, 8192)).radii


def rotations(count: int) -> list[np.ndarray]:
    return list(Rotation.random(count, rng=5).as_matrix())


@pytest.mark.parametrize("rotation", rotations(4), ids=range(4))
@pytest.mark.parametrize("scale", [0.001, 25.4])
@pytest.mark.parametrize("flip", [1, -1])
def test_invariants_do_not_change_with_the_pose(bust, rotation, scale, flip):
    """A translated, rotated, scaled or mirrored shape has the same invariants."""
    vertices, faces = bust

    moved = (vertices * [flip, 1, 1]) @ rotation.T * scale + [3, -200, 40]

    assert invariants(moved, faces) == pytest.approx(invariants(vertices, faces), rel=1e-6, abs=1e-9)


def test_invariants_do_not_change_with_the_triangles(bust):
    """Four times as many triangles give the same invariants, except for the quadrature of the higher moments."""
    vertices, faces = bust

    finer = trimesh.remesh.subdivide(vertices, faces)

    expected = invariants(vertices, faces)
    assert invariants(*finer)[[0, 1, 2, 7, 8]] == pytest.approx(expected[[0, 1, 2, 7, 8]], rel=1e-9)
    assert invariants(*finer) == pytest.approx(expected, rel=2e-3, abs=2e-4)


def test_invariants_of_a_sphere():
    """A sphere's radius of gyration is its radius: deviations 1/sqrt(3), no skew, area 4 pi, volume 4 pi / 3."""
    ball = trimesh.creation.icosphere(5)

    found = invariants(ball.vertices, ball.faces)

    assert found == pytest.approx([3**-0.5] * 3 + [0] * 3 + [1, 4 * np.pi, 4 * np.pi / 3], abs=0.02)


def test_invariants_distinguish_busts():
    """Two busts differ in some invariant by far more than a bust with rounded coordinates from itself."""
    one, other = make_body(1, resolution_mm=10), make_body(2, resolution_mm=10)

    found = invariants(one.vertices_mm, one.faces)

    rounded = np.abs(invariants(one.vertices_mm.round(1), one.faces) / found - 1).max()
    assert np.abs(invariants(other.vertices_mm, other.faces) / found - 1).max() > 20 * rounded


LARGE = [rotation for rotation in rotations(20) if angle_deg(rotation) >= POSE_DEG + 10]


@pytest.mark.parametrize("rotation", LARGE, ids=range(len(LARGE)))
def test_the_rotation_of_a_shape_is_found(bust, rotation):
    """One of the two rotations is close enough for registration, and clearly more similar than no rotation."""
    vertices, faces = bust

    found = best_orientation(radii(vertices @ rotation.T, faces), radii(vertices, faces))

    assert min(angle_deg(one.T @ rotation) for one in found.rotations) < 40
    assert found.gain > 0.1


@pytest.mark.parametrize("degrees", [0, 10, 20])
def test_a_pose_is_no_other_orientation(bust, degrees):
    """After a small rotation no large rotation makes the shape more similar to itself."""
    vertices, faces = bust
    pose = Rotation.from_rotvec(np.array([1, -2, 0.5]) / np.linalg.norm([1, -2, 0.5]) * degrees, degrees=True)

    assert best_orientation(radii(pose.apply(vertices), faces), radii(vertices, faces)).gain < 0.02


def test_a_bust_is_symmetric_across_x(bust):
    """Left and right are more similar than top and bottom, or front and back."""
    across = symmetry(radii(*bust))

    assert across[0] == across.max()
    assert across[0] > 0.9


def test_similarity_is_a_correlation(bust):
    """The similarity of a shape to itself is 1, and the matrix is symmetric."""
    vertices, faces = bust

    found = similarity(np.array([radii(vertices, faces), radii(vertices @ rotations(1)[0].T, faces)]))

    assert np.diag(found) == pytest.approx(1)
    assert found[0, 1] == found[1, 0] < 0.95
