"""Triangulation of several rays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import GeometryError
from featurelib.geometry import PROJECTIONS, Rays, Rig, View, lens_for, triangulate


def _rays(origins, directions) -> Rays:
    directions = np.asarray(directions, dtype=float)
    return Rays(np.asarray(origins, dtype=float), directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _rays_of(point_mm: np.ndarray, rig: Rig, projection: str) -> Rays:
    """Return the rays from the cameras of a rig through a point."""
    cameras = rig.cameras([10, -20, 5], lens_for(projection, 400.0), 400.0)
    rays = [camera.backproject(camera.project(point_mm)) for camera in cameras]
    return Rays(np.array([ray.origins_mm for ray in rays]), np.array([ray.directions for ray in rays]))


@pytest.mark.parametrize("projection", PROJECTIONS)
@given(
    st.lists(st.tuples(st.floats(10, 80), st.floats(-60, 60)), min_size=1, max_size=4),
    st.tuples(*[st.floats(-150, 150)] * 3).map(np.array),
)
@settings(deadline=None, max_examples=50)
def test_triangulation_undoes_projection(projection: str, angles, point_mm: np.ndarray) -> None:
    """For any symmetric rig with at least two directions, triangulation returns the projected point."""
    views = [View(*pair) for pair in angles]
    rig = Rig((*views, *(View(-view.azimuth_deg, view.elevation_deg) for view in reversed(views))))

    np.testing.assert_allclose(triangulate(_rays_of(point_mm, rig, projection)), point_mm, atol=1e-6)


def test_skew_rays_give_the_midpoint() -> None:
    """The result for two skew rays is the midpoint of their common perpendicular."""
    rays = _rays([[-5, 0, 1], [0, -7, -1]], [[1, 0, 0], [0, 1, 0]])

    np.testing.assert_allclose(triangulate(rays), [0, 0, 0], atol=1e-12)


def test_weights_pull_towards_their_rays() -> None:
    """Weights of 3 to 1 divide the perpendicular 1 to 3; only the ratio of the weights matters."""
    rays = _rays([[-5, 0, 1], [0, -7, -1]], [[1, 0, 0], [0, 1, 0]])

    np.testing.assert_allclose(triangulate(rays, [3, 1]), [0, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(triangulate(rays, [300, 100]), [0, 0, 0.5], atol=1e-12)


def test_a_ray_with_weight_zero_has_no_effect() -> None:
    """The result is that of the other rays."""
    rays = _rays([[-5, 0, 1], [0, -7, -1], [90, 90, 90]], [[1, 0, 0], [0, 1, 0], [1, 2, 3]])

    np.testing.assert_allclose(triangulate(rays, [1, 1, 0]), [0, 0, 0], atol=1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_no_other_point_is_nearer_to_the_rays(seed: int) -> None:
    """A step in any direction does not reduce the sum of squared distances."""
    random = np.random.default_rng(seed)
    rays, step = _rays(random.normal(size=(5, 3)) * 100, random.normal(size=(5, 3))), random.normal(size=3)

    def cost(point: np.ndarray) -> float:
        return float((np.cross(point - rays.origins_mm, rays.directions) ** 2).sum())

    point = triangulate(rays)
    assert cost(point) <= cost(point + step)
    assert cost(point) <= cost(point - step)


@pytest.mark.parametrize("sign", [1, -1])
def test_parallel_rays_are_rejected(sign: int) -> None:
    """Rays of the same or the opposite direction do not determine the depth."""
    with pytest.raises(GeometryError, match="parallel"):
        triangulate(_rays([[0, 0, 0], [10, 0, 0]], [[0, 0, -1], [0, 0, sign]]))


@pytest.mark.parametrize(("angle_deg", "is_rejected"), [(0.9, True), (1.1, False)])
def test_the_limit_is_one_degree(angle_deg: float, is_rejected: bool) -> None:
    """Rays at an angle just below a degree are rejected, and just above are triangulated."""
    angle = np.radians(angle_deg)
    rays = _rays(
        [[0, 0, 100], [100 * np.sin(angle), 0, 100 * np.cos(angle)]], [[0, 0, -1], [-np.sin(angle), 0, -np.cos(angle)]]
    )

    if is_rejected:
        with pytest.raises(GeometryError, match="within 1 degree"):
            triangulate(rays)
    else:
        np.testing.assert_allclose(triangulate(rays), [0, 0, 0], atol=1e-9)


@pytest.mark.parametrize("num_rays", [0, 1])
def test_fewer_than_two_rays_are_rejected(num_rays: int) -> None:
    """A single view does not determine the depth."""
    with pytest.raises(GeometryError, match=f"{num_rays} rays; triangulation needs at least two"):
        triangulate(Rays(np.zeros((num_rays, 3)), np.ones((num_rays, 3))))


@pytest.mark.parametrize("weights", [[0, 0], [1, -1], [1, np.nan]])
def test_bad_weights_are_rejected(weights):
    """A negative weight, NaN, or a sum of zero raises an error."""
    rays = Rays(np.zeros((2, 3)), np.eye(3)[:2])
    with pytest.raises(GeometryError, match="non-negative"):
        triangulate(rays, weights)
