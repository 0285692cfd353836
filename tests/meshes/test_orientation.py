"""Bodies turned any way are turned back, and what is not sure says so."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.geometry import rigid
from featurelib.meshes import Mesh
from featurelib.meshes.orientation import (
    CLEAR,
    OrientationJob,
    Oriented,
    ReferenceShape,
    find_orientation,
    mean_reference_shape,
    orientation_of,
    recentred,
)
from featurelib.meshes.writers.ply import ply

COUNT = 6


@pytest.fixture(scope="module")
def bodies() -> list[Mesh]:
    made = [make_body(np.random.default_rng([7, i])) for i in range(COUNT)]
    return [Mesh.smooth(body.vertices_mm, body.faces) for body in made]


@pytest.fixture(scope="module")
def upright(bodies) -> ReferenceShape:
    return ReferenceShape.of(bodies[0])


@pytest.fixture(scope="module")
def as_they_stand(bodies, upright) -> list[Oriented]:
    """How each body would be turned from its own pose."""
    return [find_orientation(body, upright) for body in bodies]


def apart_deg(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(one @ other.T).magnitude()))


def test_a_body_turned_any_way_comes_to_the_same_place(bodies, upright, as_they_stand):
    """The answer turns with the object: from any pose it ends within a degree of where it ends from its own."""
    for i, turn in enumerate(Rotation.random(COUNT, rng=3).as_matrix()):
        found = find_orientation(bodies[i].moved(rigid(turn)), upright)

        assert apart_deg(found.rotation @ turn, as_they_stand[i].rotation) < 1.0
        assert np.linalg.det(found.rotation) == pytest.approx(1)
        assert found.residual == pytest.approx(as_they_stand[i].residual, rel=0.1, abs=3e-4)


def test_bodies_in_moderate_poses_need_moderate_turns(as_they_stand):
    """The synthetic poses are within 15 degrees, so two of them are within 30: nobody faces backwards."""
    assert max(one.turn_deg for one in as_they_stand) < 30
    assert all(one.runner_up > CLEAR * one.residual for one in as_they_stand)


def test_the_reference_itself_needs_no_turn(as_they_stand):
    assert as_they_stand[0].turn_deg < 0.1
    assert as_they_stand[0].residual < 0.002


def test_size_and_place_do_not_matter(bodies, upright, as_they_stand):
    moved = np.diag([2.5, 2.5, 2.5, 1.0])
    moved[:3, 3] = (300, -40, 90)
    found = find_orientation(bodies[1].moved(moved), upright)

    assert apart_deg(found.rotation, as_they_stand[1].rotation) < 0.5


def test_a_mirrored_body_is_not_mirrored_back(bodies, upright):
    """Rotations only: a mirrored object stays mirrored, and leaves no less than the object itself."""
    found = find_orientation(bodies[1].mirrored(), upright)

    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_an_egg_is_not_sure(upright, as_they_stand):
    """Front and back of it are one, and it is unlike the others; both are said."""
    import trimesh

    egg = trimesh.creation.icosphere(4, radius=100.0)
    found = find_orientation(Mesh.smooth(egg.vertices * (0.8, 1.2, 0.9), egg.faces), upright)
    doubt = found.doubt(np.median([one.residual for one in as_they_stand]))

    assert "another turn leaves only" in doubt
    assert "times what others leave" in doubt


def test_the_mean_shape_is_nearer_to_all_than_the_reference(bodies, upright, as_they_stand):
    mean = mean_reference_shape(upright, as_they_stand)
    from_mean = [find_orientation(body, mean).residual for body in bodies[1:]]

    assert np.mean(from_mean) < np.mean([one.residual for one in as_they_stand[1:]])
    assert mean.weights.shape == (len(mean.points),)
    assert (mean.weights > 0).all()


def test_references_that_stand_right_settle_the_shape(bodies, upright, as_they_stand):
    """A mean shape that is askew by ten degrees comes back by the references' share: 4 of 5."""
    askew = Rotation.from_euler("x", 10, degrees=True).as_matrix()
    mean = mean_reference_shape(upright, as_they_stand)
    tilted = replace(mean, points=mean.points @ askew.T)
    references = [find_orientation(body, mean) for body in bodies[:4]]
    tilted_references = [replace(one, rotation=askew @ one.rotation) for one in references]

    straight, again = recentred(mean, references), recentred(tilted, tilted_references)
    left = find_orientation(bodies[5], again).rotation @ find_orientation(bodies[5], straight).rotation.T
    assert apart_deg(left, np.eye(3)) == pytest.approx(2.0, abs=0.7)


def test_a_bad_mesh_is_a_reason(upright, tmp_path, bodies):
    (tmp_path / "a.ply").write_bytes(b"ply\n")
    (tmp_path / "b.ply").write_bytes(ply(bodies[1].vertices_mm, bodies[1].faces))

    assert str(orientation_of(OrientationJob("a", str(tmp_path / "a.ply"), np.eye(4), upright))).startswith(
        "meshes/a.ply: "
    )
    assert isinstance(orientation_of(OrientationJob("b", str(tmp_path / "b.ply"), np.eye(4), upright)), Oriented)
