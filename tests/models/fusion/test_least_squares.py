"""Claimed covariances agree with the scatter of repeated detections."""

from dataclasses import replace

import numpy as np
import pytest

from featurelib.geometry import DEFAULT_RIG, Rays
from featurelib.models.fusion import fuse, own_side

DRAWS = 400


@pytest.mark.parametrize(
    ("method", "tolerance"), [("least_squares", 0.12), ("weighted", 0.12), ("consensus", 0.35), ("robust", 0.12)]
)
@pytest.mark.parametrize("shared_mm", [0.0, 0.6])
def test_the_claimed_covariance_is_that_of_repeated_detections(scene, method, tolerance, shared_mm) -> None:
    """Claim and scatter agree over many draws of the noise, with and without a shared part."""
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


def test_weighted_is_better_than_least_squares_if_views_differ(scene) -> None:
    """Own-side views have half the noise; four times the weight reduces the error and the claim."""
    seen = [scene(noise_mm=1.0, seed=seed) for seed in range(200)]

    errors = {
        method: np.mean([((fuse(each.detections, method).xyz_mm - each.truth_mm) ** 2).sum() for each in seen])
        for method in ("least_squares", "weighted")
    }
    assert errors["weighted"] < 0.95 * errors["least_squares"]
    claims = [np.trace(fuse(seen[0].detections, method).covariance_mm2) for method in errors]
    assert claims[1] < claims[0]
