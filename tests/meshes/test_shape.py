"""Numbers of shapes, on shapes of which they are known."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.meshes.shape import BEST_ORIENTATION_DEG, facing, invariants, reach, similarity, symmetry
from featurelib.meshes.surface import sample_surface


@pytest.fixture(scope="module")
def bust():
    """Vertices and faces of a synthetic bust."""
    body = make_body(3, resolution_mm=10)
    return body.vertices_mm.astype(float), body.faces


def shares(vertices, faces):
    return reach(sample_surface(vertices, faces, 8192)).shares


def turns(count: int) -> list[np.ndarray]:
    return list(Rotation.random(count, rng=5).as_matrix())


@pytest.mark.parametrize("turn", turns(4), ids=range(4))
@pytest.mark.parametrize("scale", [0.001, 25.4])
@pytest.mark.parametrize("flip", [1, -1])
def test_invariants_do_not_change_with_the_pose(bust, turn, scale, flip):
    """Moved, turned, scaled or mirrored, a shape keeps its numbers."""
    vertices, faces = bust

    moved = (vertices * [flip, 1, 1]) @ turn.T * scale + [3, -200, 40]

    assert invariants(moved, faces) == pytest.approx(invariants(vertices, faces), rel=1e-6, abs=1e-9)


def test_invariants_do_not_change_with_the_triangles(bust):
    """The same surface in four times as many triangles has the same numbers, but for the higher moments' quadrature."""
    vertices, faces = bust

    finer = trimesh.remesh.subdivide(vertices, faces)

    expected = invariants(vertices, faces)
    assert invariants(*finer)[[0, 1, 2, 7, 8]] == pytest.approx(expected[[0, 1, 2, 7, 8]], rel=1e-9)
    assert invariants(*finer) == pytest.approx(expected, rel=2e-3, abs=2e-4)


def test_invariants_of_a_sphere():
    """A sphere's radius of gyration is its radius: spreads 1/sqrt(3), no skew, area 4 pi, volume 4 pi / 3."""
    ball = trimesh.creation.icosphere(5)

    found = invariants(ball.vertices, ball.faces)

    assert found == pytest.approx([3**-0.5] * 3 + [0] * 3 + [1, 4 * np.pi, 4 * np.pi / 3], abs=0.02)


def test_invariants_tell_busts_apart():
    """Two busts differ in some number by far more than one does from itself in rounded coordinates."""
    one, other = make_body(1, resolution_mm=10), make_body(2, resolution_mm=10)

    found = invariants(one.vertices_mm, one.faces)

    rounded = np.abs(invariants(one.vertices_mm.round(1), one.faces) / found - 1).max()
    assert np.abs(invariants(other.vertices_mm, other.faces) / found - 1).max() > 20 * rounded


@pytest.mark.parametrize("turn", turns(20), ids=range(20))
def test_a_turned_shape_is_found_in_its_turn(bust, turn):
    """One of the two turns is near enough for registration to fix the rest, and clearly better than none."""
    vertices, faces = bust
    angle_deg = np.degrees(Rotation.from_matrix(turn).magnitude())
    if angle_deg < BEST_ORIENTATION_DEG + 10:
        pytest.skip("a small turn")

    found = facing(shares(vertices @ turn.T, faces), shares(vertices, faces))

    assert np.degrees(Rotation.from_matrix(found.turns.transpose(0, 2, 1) @ turn).magnitude()).min() < 40
    assert found.gain > 0.1


@pytest.mark.parametrize("degrees", [0, 10, 20])
def test_a_pose_is_no_turn(bust, degrees):
    """Small turns about any axis leave the shape most like itself as it stands."""
    vertices, faces = bust
    turn = Rotation.from_rotvec(np.array([1, -2, 0.5]) / np.linalg.norm([1, -2, 0.5]) * degrees, degrees=True)

    assert facing(shares(turn.apply(vertices), faces), shares(vertices, faces)).gain < 0.02


def test_a_bust_is_symmetric_across_x(bust):
    """Left and right are alike; top and bottom, and front and back, are less so."""
    across = symmetry(shares(*bust))

    assert across[0] == across.max()
    assert across[0] > 0.9


def test_likeness_is_a_correlation(bust):
    """Every shape is wholly like itself, and each pair alike in both directions."""
    vertices, faces = bust
    all_shares = np.array([shares(vertices, faces), shares(vertices @ turns(1)[0].T, faces)])

    found = similarity(all_shares)

    assert np.diag(found) == pytest.approx(1)
    assert found[0, 1] == found[1, 0] < 0.95
