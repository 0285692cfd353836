"""Fusion of a stage's rays, and the snap to the surface."""

import numpy as np
import pytest

from featurelib.errors import GeometryError
from featurelib.geometry import Rays, View
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import cameras_at
from featurelib.models.refiner.fusion import MIN_REDUCED_CHI2, fuse_rays, snap_along

POINT_MM = np.array([12.0, -7.0, 30.0])
VIEWS = [View(20.0), View(60.0, 20.0), View(90.0, -20.0), View(110.0)]


def _rays(views, xy_errors) -> Rays:
    cameras = cameras_at(views, POINT_MM + np.array([2.0, -1.0, 3.0]), 40.0)
    pairs = [c.backproject(c.project(POINT_MM) + error) for c, error in zip(cameras, xy_errors, strict=True)]
    return Rays(*(np.array(part) for part in zip(*pairs, strict=True)))


def test_exact_rays_give_the_exact_point_whatever_the_weights() -> None:
    fused = fuse_rays(_rays(VIEWS, np.zeros((4, 2))), [0.1, 1.0, 5.0, 0.01])

    assert np.allclose(fused.point_mm, POINT_MM, atol=1e-9)
    assert np.allclose(fused.distances_mm, 0, atol=1e-9)


def test_one_outlier_of_seven_rays_hardly_moves_the_point() -> None:
    views = [View(float(a), float(e)) for a, e in zip(range(0, 140, 20), (0, 20, -20, 0, 20, -20, 0), strict=True)]
    errors = np.zeros((7, 2))
    errors[3] = 0.4  # 16 mm along either axis

    fused = fuse_rays(_rays(views, errors), np.full(7, 0.25))

    assert np.linalg.norm(fused.point_mm - POINT_MM) < 0.1


def test_the_information_is_the_sum_over_rays_perpendicular_to_each() -> None:
    rays = _rays([View(0.0), View(90.0)], np.zeros((2, 2)))
    fused = fuse_rays(rays, [0.25, 1.0])

    assert np.allclose(fused.information, np.diag([4.0, 5.0, 1.0]))


def test_rays_that_miss_each_other_widen_the_covariance() -> None:
    """Errors of the claimed variance give a mean reduced chi-square of 1; larger errors increase it."""
    random, variance_mm2 = np.random.default_rng(0), 0.25
    off = [random.normal(0, np.sqrt(variance_mm2) / 40.0, (4, 2)) for _ in range(400)]
    fused = [fuse_rays(_rays(VIEWS, errors), np.full(4, variance_mm2)) for errors in off]
    twice = [fuse_rays(_rays(VIEWS, 2 * errors), np.full(4, variance_mm2)) for errors in off]

    assert np.isclose(np.mean([each.reduced_chi2 for each in fused]), 1, atol=0.15)
    assert all(
        far.reduced_chi2 > near.reduced_chi2
        for near, far in zip(fused, twice, strict=True)
        if near.reduced_chi2 > MIN_REDUCED_CHI2
    )
    for each in fused[:5]:
        assert np.allclose(each.covariance_mm2 @ each.information, each.reduced_chi2 * np.eye(3), atol=1e-9)


def test_the_reduced_chi_square_has_a_lower_bound() -> None:
    assert fuse_rays(_rays(VIEWS, np.zeros((4, 2))), np.full(4, 0.25)).reduced_chi2 == MIN_REDUCED_CHI2


def test_parallel_rays_are_refused() -> None:
    with pytest.raises(GeometryError, match="parallel"):
        fuse_rays(_rays([View(30.0), View(30.0)], np.zeros((2, 2))), [1.0, 1.0])


def test_rays_far_apart_give_the_point_of_the_last_regular_round() -> None:
    """A round whose weights leave nearly parallel rays is discarded, so inconsistent rays still give a point."""
    random = np.random.default_rng(0)
    for _ in range(50):
        fused = fuse_rays(_rays(VIEWS, random.uniform(-0.5, 0.5, (4, 2))), np.full(4, 1e-6))
        assert np.isfinite(fused.point_mm).all()
        assert (np.linalg.eigvalsh(fused.information) > 0).all()


def _floor() -> Mesh:
    corners = [[-50, 0, -50], [50, 0, -50], [50, 0, 50], [-50, 0, 50]]
    return Mesh.smooth(corners, [[0, 2, 1], [0, 3, 2]])


def test_the_snap_moves_along_the_least_certain_direction() -> None:
    """Only the depth is uncertain: the point reaches the floor along the ray, not straight down."""
    along = np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    information = np.eye(3) - (1 - 1e-6) * np.outer(along, along)

    snapped, distance_mm = snap_along(np.array([0.0, 2.0, 5.0]), information, _floor(), 100.0)

    assert np.allclose(snapped, [2.0, 0.0, 5.0], atol=1e-3)
    assert np.isclose(distance_mm, np.sqrt(8), atol=1e-3)


def test_with_equal_certainty_the_snap_is_the_nearest_point_and_far_surfaces_are_ignored() -> None:
    point = np.array([3.0, 2.0, 5.0])

    assert np.allclose(snap_along(point, 4 * np.eye(3), _floor(), 100.0)[0], [3, 0, 5])
    assert snap_along(point, np.eye(3), _floor(), 10.0) == (pytest.approx(point), np.inf)
