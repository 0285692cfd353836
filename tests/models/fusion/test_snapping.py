"""The snap to the mesh."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.geometry import DEFAULT_RIG, Rays
from featurelib.models.fusion import Detections, Surface, fuse, own_side
from featurelib.models.fusion.snapping import geometric_median, nearest_in_metric, on_plane

PLANE_FACES = np.array([[0, 1, 2], [0, 2, 3]])


def _plane(normal: np.ndarray, size: float = 1000.0) -> Surface:
    """Return a large square through the origin."""
    first = np.cross(normal, [0.3, -0.5, 0.8])
    first /= np.linalg.norm(first)
    second = np.cross(normal, first) / np.linalg.norm(normal)
    corners = [first + second, first - second, -first - second, second - first]
    return Surface(np.array(corners) * size, PLANE_FACES)


def _metric(random: np.random.Generator) -> np.ndarray:
    root = random.normal(size=(3, 3))
    return root @ root.T + 0.1 * np.eye(3)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_the_snap_to_a_plane_agrees_with_the_formula(seed) -> None:
    """The point of a plane n . q = 0 with the least metric distance is p - S n (n . p) / (n . S n), S the inverse."""
    random = np.random.default_rng(seed)
    point, normal, metric = random.normal(size=3) * 5, random.normal(size=3), _metric(random)

    found = nearest_in_metric(point, metric, _plane(normal))

    slack = np.linalg.inv(metric) @ normal
    np.testing.assert_allclose(found.point_mm, point - slack * (normal @ point) / (normal @ slack), atol=1e-7)
    np.testing.assert_allclose(np.abs(found.normal @ normal), np.linalg.norm(normal), rtol=1e-9)


def test_snapping_along_the_uncertain_direction_beats_the_nearest_point() -> None:
    """Two views with a small angle leave the depth uncertain: the snap in their metric has the smaller error.

    With an error D in depth along z only, and a plane at the angle a to the line of sight, the error of the nearest
    point is D sin(90 - a), and that of the snap along z is zero.
    """
    normal = np.array([1.0, 0.0, 1.0]) / np.sqrt(2)
    point = np.array([0.0, 0.0, 3.0])  # the truth is the origin

    metric = nearest_in_metric(point, np.diag([1.0, 1.0, 1e-6]), _plane(normal)).point_mm
    nearest = nearest_in_metric(point, np.eye(3), _plane(normal)).point_mm

    np.testing.assert_allclose(np.linalg.norm(metric), 0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(nearest), 3 * np.sin(np.radians(45)), atol=1e-9)


@pytest.mark.parametrize("slant_deg", [20, 45, 70])
def test_snapped_beats_robust_and_the_nearest_point_on_average(slant_deg) -> None:
    """Four views within 24 degrees, noise of 1 mm, the truth on a slanted plane: each step lowers the error."""
    slant = np.radians(slant_deg)
    surface = _plane(np.array([np.sin(slant), 0.0, np.cos(slant)]))
    angles = np.radians([-12, -4, 4, 12])
    directions = np.stack([-np.sin(angles), 0 * angles, -np.cos(angles)], axis=1)
    random, errors = np.random.default_rng(0), {"robust": [], "nearest": [], "snapped": []}
    for _ in range(150):
        origins = -400 * directions + random.normal(size=(4, 3))
        seen = Detections(Rays(origins, directions), np.ones(4, dtype=bool), np.ones(4), surface=surface)
        robust = fuse(seen, "robust").xyz_mm
        errors["robust"].append(robust @ robust)
        errors["nearest"].append(np.square(nearest_in_metric(robust, np.eye(3), surface).point_mm).sum())
        errors["snapped"].append(np.square(fuse(seen, "snapped").xyz_mm).sum())

    mean = {name: np.mean(values) for name, values in errors.items()}
    assert mean["snapped"] < 0.9 * mean["nearest"]
    assert mean["snapped"] < 0.5 * mean["robust"]


def test_the_claim_after_the_snap_is_that_of_repeated_detections() -> None:
    """Draws from a covariance, snapped to a plane in another metric, have the covariance of `on_plane`."""
    random = np.random.default_rng(3)
    covariance, metric, normal = _metric(random), _metric(random), np.array([0.6, 0.0, 0.8])
    draws = random.multivariate_normal(np.zeros(3), covariance, 3000)
    snapped = np.array([nearest_in_metric(point, metric, _plane(normal)).point_mm for point in draws])

    claimed = on_plane(covariance, np.linalg.inv(metric), normal)

    rest = np.outer(normal, normal) * (normal @ claimed @ normal)
    np.testing.assert_allclose(claimed - rest, np.cov(snapped.T), atol=0.1 * np.trace(claimed))
    assert 0 < normal @ claimed @ normal < 0.1 * normal @ covariance @ normal


def test_a_distant_surface_does_not_move_the_point(scene) -> None:
    """At 40 mm the point is that of `robust`, and the distance is returned."""
    detections = scene(noise_mm=0.5).detections
    away = replace(
        detections, surface=Surface(detections.surface.vertices_mm + np.array([40.0, 0, 0]), detections.surface.faces)
    )

    found = fuse(away, "snapped")

    np.testing.assert_array_equal(found.xyz_mm, fuse(away, "robust").xyz_mm)
    assert not found.snapped
    assert 30 < found.snap_mm < 50
    assert fuse(detections, "snapped").snapped


@pytest.mark.parametrize(("sigmas", "snapped"), [(3.28, True), (3.30, False)])
def test_the_limit_of_the_snap_is_measured_along_the_normal(scene, sigmas, snapped) -> None:
    """It is 3.29 standard deviations along the normal, independent of the plane's position."""
    detections, normal = scene(shared_mm=0.3, noise_mm=1.0).detections, np.array([0.0, 0.6, 0.8])
    robust = fuse(detections, "robust")
    plane = _plane(normal)
    below = robust.xyz_mm - normal * sigmas * np.sqrt(normal @ robust.covariance_mm2 @ normal)
    shifted = Surface(plane.vertices_mm + below + np.cross(normal, [1, 2, 3]), plane.faces)

    assert fuse(replace(detections, surface=shifted), "snapped").snapped == snapped


def test_one_view_is_enough_for_the_surface(scene) -> None:
    """Its hit is the result."""
    seen = scene(usable=np.arange(9) == 7)

    found = fuse(seen.detections, "surface")

    np.testing.assert_allclose(found.xyz_mm, seen.truth_mm, atol=1e-6)
    assert found.used.tolist() == [i == 7 for i in range(9)]
    assert np.isfinite(found.covariance_mm2).all()


def test_rays_that_miss_the_surface_give_no_point(scene) -> None:
    """There is nothing to take the median of."""
    detections = scene(usable=own_side(DEFAULT_RIG.views, "left")).detections
    small = Surface(np.eye(3) + 500, np.array([[0, 1, 2]]))

    assert np.isnan(fuse(replace(detections, surface=small), "surface").xyz_mm).all()


def test_the_median_resists_up_to_half_of_the_weight() -> None:
    """The median of five equal points and four distant ones is the five's position."""
    points = np.concatenate([np.full((5, 3), 2.0), np.random.default_rng(0).normal(size=(4, 3)) * 100 + 300])

    np.testing.assert_allclose(geometric_median(points, np.ones(9)), 2.0, atol=1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_the_geometric_median_minimises_the_sum_of_distances(seed) -> None:
    """A step in any direction increases the weighted sum."""
    random = np.random.default_rng(seed)
    points, weights = random.normal(size=(7, 3)), random.uniform(0.1, 1, 7)

    def cost(at: np.ndarray) -> float:
        return float(weights @ np.linalg.norm(points - at, axis=1))

    median, step = geometric_median(points, weights), random.normal(size=3) * 0.01
    assert cost(median) <= cost(median + step) + 1e-5
