"""Fixed weights: the claimed covariance is the one that errors have."""

from dataclasses import replace

import numpy as np
import pytest

from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, Rays
from featurelib.models.fusion import fuse, own_side

DRAWS = 400


@pytest.mark.parametrize(
    ("method", "tolerance"), [("least_squares", 0.12), ("weighted", 0.12), ("consensus", 0.35), ("robust", 0.12)]
)
@pytest.mark.parametrize("shared_mm", [0.0, 0.6])
def test_the_claimed_covariance_is_that_of_repeated_sightings(scene, method, tolerance, shared_mm) -> None:
    """Over many draws of the noise, with and without a part that all views share, claim and scatter agree."""
    exact = replace(scene(usable=own_side(DEFAULT_RIG.views, "left", front=True)).detections, shared_mm=shared_mm)
    random, own_mm = np.random.default_rng(0), np.sqrt(exact.sigma_mm**2 - shared_mm**2)[:, None]
    found = []
    for _ in range(DRAWS):
        errors = random.normal(size=(9, 3)) * own_mm + random.normal(size=3) * shared_mm
        rays = Rays(exact.rays.origins_mm + errors, exact.rays.directions)
        found.append(fuse(replace(exact, rays=rays), method))

    scatter = np.cov(np.array([each.xyz_mm for each in found]).T)
    claimed = np.mean([each.covariance_mm2 for each in found], axis=0)
    np.testing.assert_allclose(np.linalg.eigvalsh(np.linalg.solve(claimed, scatter)), 1, atol=2.5 * tolerance)
    assert np.trace(scatter) == pytest.approx(np.trace(claimed), rel=tolerance)


def test_weighted_is_better_than_least_squares_where_views_differ(scene) -> None:
    """Own-side views have half the noise; giving them four times the weight lowers the error and the claim."""
    seen = [scene(noise_mm=1.0, seed=seed) for seed in range(200)]

    errors = {
        method: np.mean([((fuse(each.detections, method).xyz_mm - each.truth_mm) ** 2).sum() for each in seen])
        for method in ("least_squares", "weighted")
    }
    assert errors["weighted"] < 0.95 * errors["least_squares"]
    assert fuse(seen[0].detections, "weighted").sigma_mm < fuse(seen[0].detections, "least_squares").sigma_mm


def test_round_covariances_are_weights(scene) -> None:
    """With parallel rays and equal spread in all directions, `covariance` is `weighted`, point and claim alike."""
    detections = scene(noise_mm=1.0, shared_mm=0.0).detections
    round_ones = replace(detections, covariance_mm2=detections.sigma_mm[:, None, None] ** 2 * np.eye(2))

    found, expected = fuse(round_ones, "covariance"), fuse(round_ones, "weighted")

    np.testing.assert_allclose(found.xyz_mm, expected.xyz_mm, atol=1e-9)
    np.testing.assert_allclose(found.covariance_mm2, expected.covariance_mm2, rtol=1e-9)


def test_a_spread_along_one_direction_gives_way_there(scene) -> None:
    """A view that is sure of height and not of width is believed in height alone."""
    detections = scene(noise_mm=1.0, seed=4).detections
    sharp = np.broadcast_to(np.diag([1e6, 1e-6]), (9, 2, 2)).copy()
    sharp[[5, 8]] = np.diag([1.0, 1e6])  # only these two know the width

    found = fuse(replace(detections, covariance_mm2=sharp), "covariance").xyz_mm

    pair = fuse(replace(detections, usable=np.isin(np.arange(9), [5, 8])), "least_squares").xyz_mm
    heights = detections.rays.origins_mm[[i for i in range(9) if i not in (5, 8)], 1]
    np.testing.assert_allclose(found[[0, 2]], pair[[0, 2]], atol=1e-3)
    assert found[1] == pytest.approx(heights.mean(), abs=1e-3)


def test_a_detector_without_covariances_is_refused(scene) -> None:
    """The message says what to use instead."""
    with pytest.raises(UsageError, match="use weighted or robust"):
        fuse(replace(scene().detections, covariance_mm2=None), "covariance")
