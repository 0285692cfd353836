"""Randomly rotated bodies get their orientation back, and unreliable results are flagged."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.geometry import rigid
from featurelib.meshes import Mesh
from featurelib.meshes.orientation import (
    CLEAR,
    OrientationJob,
    Oriented,
    find_orientation,
    mean_reference_shape,
    orientation_of,
    recentred,
)
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.registration import angle_deg
from featurelib.meshes.writers.ply import ply

COUNT = 6


@pytest.fixture(scope="module")
def bodies() -> list[Mesh]:
    made = [make_body(np.random.default_rng([7, i])) for i in range(COUNT)]
    return [Mesh.smooth(body.vertices_mm, body.faces) for body in made]


@pytest.fixture(scope="module")
def reference(bodies) -> ReferenceShape:
    return ReferenceShape.of(bodies[0])


@pytest.fixture(scope="module")
def oriented(bodies, reference) -> list[Oriented]:
    """The rotation of each body from its own pose."""
    return [find_orientation(body, reference) for body in bodies]


def apart_deg(one: np.ndarray, other: np.ndarray) -> float:
    return angle_deg(one @ other.T)


def test_the_orientation_does_not_depend_on_the_initial_rotation(bodies, reference, oriented):
    """From any initial rotation a body ends within a degree of its final orientation without one."""
    for i, rotation in enumerate(Rotation.random(COUNT, rng=3).as_matrix()):
        found = find_orientation(bodies[i].moved(rigid(rotation)), reference)

        assert apart_deg(found.rotation @ rotation, oriented[i].rotation) < 1.0
        assert np.linalg.det(found.rotation) == pytest.approx(1)
        assert found.residual == pytest.approx(oriented[i].residual, rel=0.1, abs=3e-4)


def test_bodies_in_moderate_poses_need_moderate_rotations(oriented):
    """Two synthetic poses within 15 degrees differ by at most 30 degrees, so no body faces backwards."""
    assert max(one.angle_deg for one in oriented) < 30
    assert all(one.runner_up > CLEAR * one.residual for one in oriented)


def test_the_reference_itself_needs_no_rotation(oriented):
    assert oriented[0].angle_deg < 0.1
    assert oriented[0].residual < 0.002


def test_size_and_position_have_no_effect(bodies, reference, oriented):
    moved = np.diag([2.5, 2.5, 2.5, 1.0])
    moved[:3, 3] = (300, -40, 90)
    found = find_orientation(bodies[1].moved(moved), reference)

    assert apart_deg(found.rotation, oriented[1].rotation) < 0.5


def test_a_mirrored_body_stays_mirrored(bodies, reference):
    """The result is a proper rotation, also for a mirrored object."""
    found = find_orientation(bodies[1].mirrored(), reference)

    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_an_egg_is_flagged(reference, oriented):
    """Its front and back are the same, and it is unlike the others; both reasons are given."""
    egg = trimesh.creation.icosphere(4, radius=100.0)
    found = find_orientation(Mesh.smooth(egg.vertices * (0.8, 1.2, 0.9), egg.faces), reference)
    reason = found.review_reason(np.median([one.residual for one in oriented]))

    assert "another rotation has only" in reason
    assert "times the median" in reason


def test_the_mean_shape_fits_better_than_the_reference(bodies, reference, oriented):
    mean = mean_reference_shape(reference, oriented)
    from_mean = [find_orientation(body, mean).residual for body in bodies[1:]]

    assert np.mean(from_mean) < np.mean([one.residual for one in oriented[1:]])
    assert mean.weights.shape == (len(mean.points_mm),)
    assert (mean.weights > 0).all()


def test_references_correct_the_orientation_of_the_mean_shape(bodies, reference, oriented):
    """A mean shape that is tilted by ten degrees is corrected by the references' share, which is 4 of 5."""
    tilt = Rotation.from_euler("x", 10, degrees=True).as_matrix()
    mean = mean_reference_shape(reference, oriented)
    tilted = replace(mean, points_mm=mean.points_mm @ tilt.T)
    references = [find_orientation(body, mean) for body in bodies[:4]]
    tilted_references = [replace(one, rotation=tilt @ one.rotation) for one in references]

    straight, corrected = recentred(mean, references), recentred(tilted, tilted_references)
    left = find_orientation(bodies[5], corrected).rotation @ find_orientation(bodies[5], straight).rotation.T
    assert apart_deg(left, np.eye(3)) == pytest.approx(2.0, abs=0.7)


def test_a_mesh_that_cannot_be_read_gives_a_reason(reference, tmp_path, bodies):
    contents = {"a": b"ply\n", "b": ply(bodies[1].vertices_mm, bodies[1].faces)}
    results = {}
    for name, content in contents.items():
        (tmp_path / f"{name}.ply").write_bytes(content)
        results[name] = orientation_of(OrientationJob(name, str(tmp_path / f"{name}.ply"), np.eye(4), reference))

    assert str(results["a"]).startswith("meshes/a.ply: ")
    assert isinstance(results["b"], Oriented)
