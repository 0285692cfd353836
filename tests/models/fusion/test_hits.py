"""Intersections of rays and meshes with known results."""

import numpy as np
import pytest

from featurelib.errors import GeometryError
from featurelib.geometry import Rays
from featurelib.meshes.surface import closest_points
from featurelib.models.fusion import Surface, first_hits

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CUBE_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


def _rays(origins, directions) -> Rays:
    directions = np.asarray(directions, dtype=float)
    return Rays(np.asarray(origins, dtype=float), directions / np.linalg.norm(directions, axis=1, keepdims=True))


def test_matches_the_formula_of_a_box() -> None:
    """Hits and misses from outside and inside are those of the slab method."""
    random = np.random.default_rng(0)
    rays = _rays(random.uniform(-3, 3, (3000, 3)), random.normal(size=(3000, 3)))

    found, faces = first_hits(rays, Surface(CUBE, CUBE_FACES))

    slabs = np.sort((np.array([-1, 1])[:, None, None] - rays.origins_mm) / rays.directions, axis=0)
    enter, leave = slabs[0].max(axis=1), slabs[1].min(axis=1)
    expected = np.where((leave < enter) | (leave < 0), np.inf, np.where(enter >= 0, enter, leave))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_array_equal(faces < 0, np.isinf(expected))
    assert 300 < np.isfinite(found).sum() < 2700


def test_the_hit_is_on_the_returned_face() -> None:
    """The point at the returned distance along the ray is on the triangle."""
    random = np.random.default_rng(1)
    rays = _rays(random.uniform(-3, 3, (300, 3)), random.normal(size=(300, 3)))
    found, faces = first_hits(rays, Surface(CUBE, CUBE_FACES))

    for ray in np.flatnonzero(faces >= 0):
        hit = rays.origins_mm[ray] + found[ray] * rays.directions[ray]
        assert closest_points(hit[None], CUBE, CUBE_FACES[[faces[ray]]])[1][0] < 1e-9


@pytest.mark.parametrize("target", [CUBE[3], CUBE[[3, 7]].mean(axis=0), CUBE[[0, 3]].mean(axis=0)])
def test_no_ray_passes_between_adjacent_triangles(target) -> None:
    """Rays from many directions to a corner, an edge and a diagonal hit the cube there."""
    starts = target + np.random.default_rng(2).normal(size=(200, 3)) * 5
    found, _ = first_hits(_rays(starts, target - starts), Surface(CUBE, CUBE_FACES))

    assert (found <= np.linalg.norm(target - starts, axis=1) + 1e-6).all()


def test_surfaces_behind_the_origin_are_not_hit() -> None:
    """A ray is a half-line."""
    found, faces = first_hits(_rays([[0, 0, 5], [0, 0, 5]], [[0, 0, 1], [0, 0, -1]]), Surface(CUBE, CUBE_FACES))

    assert found.tolist() == [np.inf, 4.0]
    assert faces[0] == -1


def test_a_triangle_without_area_is_not_hit() -> None:
    """A degenerate triangle is missed, without a division by zero."""
    flat = Surface(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=float), np.array([[0, 1, 2], [0, 0, 0]]))

    assert np.isinf(first_hits(_rays([[0.5, 0, 1], [0, 0, 1]], [[0, 0, -1]] * 2), flat)[0]).all()


@pytest.mark.parametrize(
    ("surface", "message"),
    [
        (Surface(CUBE, np.empty((0, 3), dtype=int)), "without faces"),
        (Surface(CUBE * np.nan, CUBE_FACES), "not finite"),
    ],
)
def test_an_empty_or_invalid_mesh_is_rejected(surface, message) -> None:
    """The message names the fault."""
    with pytest.raises(GeometryError, match=message):
        first_hits(_rays([[0, 0, 5]], [[0, 0, 1]]), surface)
