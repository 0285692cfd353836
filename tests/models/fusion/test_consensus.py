"""Consensus and robust fusion with outliers."""

import numpy as np
import pytest
from scipy.integrate import quad

from featurelib.geometry import DEFAULT_RIG, lens_for
from featurelib.models.fusion import from_cameras, fuse
from featurelib.models.fusion.consensus import CAUCHY_SIGMAS, HUBER_SIGMAS


@pytest.mark.parametrize(
    ("weight", "kinks"),
    [
        (lambda r: min(1.0, HUBER_SIGMAS / r), [HUBER_SIGMAS]),
        (lambda r: 1 / (1 + (r / CAUCHY_SIGMAS) ** 2), []),
    ],
    ids=["huber", "cauchy"],
)
def test_the_weights_have_95_percent_efficiency_in_the_plane(weight, kinks) -> None:
    """For normal errors e in a plane and influence e w(|e|), the efficiency is (E[div]/2)^2 / (E[|e|^2 w^2]/2).

    By Stein's identity E[div] = E[|e|^2 w], and |e| has the density r exp(-r^2 / 2).
    """
    moments = [
        quad(lambda r, p=power: r**3 * weight(r) ** p * np.exp(-(r**2) / 2), 1e-9, 12, points=kinks)[0]
        for power in (1, 2)
    ]

    assert (moments[0] / 2) ** 2 / (moments[1] / 2) == pytest.approx(0.95, abs=5e-4)


def _with_outliers(count: int, seed: int, noise_mm: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cameras, the true point, and positions of which `count` are random."""
    random = np.random.default_rng(seed)
    cameras = DEFAULT_RIG.cameras([0, 0, 0], lens_for("perspective", 400.0), 400.0)
    truth_mm = random.uniform(-80, 80, 3)
    xy = np.array([camera.project(truth_mm) for camera in cameras]) + random.normal(size=(9, 2)) * noise_mm / 400
    xy[random.permutation(9)[:count]] = random.random((count, 2))
    return cameras, truth_mm, xy


@pytest.mark.parametrize("method", ["consensus", "robust"])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_random_outliers_do_not_affect_the_result(method, count) -> None:
    """Up to four of nine positions may be random: the others determine the point."""
    for seed in range(20):
        cameras, truth_mm, xy = _with_outliers(count, seed)

        found = fuse(from_cameras(cameras, xy, 0.3), method)

        assert np.linalg.norm(found.xyz_mm - truth_mm) < 1.5
        assert found.used.sum() >= 9 - count - 3  # 2.45 sigma exclude one inlier of twenty


@pytest.mark.parametrize("method", ["consensus", "robust"])
def test_inconsistent_views_still_give_a_point(method) -> None:
    """No ray is within the threshold of another: the result is finite, and at least two views count as used."""
    cameras, _, xy = _with_outliers(9, seed=0)

    found = fuse(from_cameras(cameras, xy, 0.01), method)

    assert np.isfinite(found.xyz_mm).all()
    assert found.used.sum() >= 2


def test_robust_equals_weighted_without_outliers(scene) -> None:
    """Residuals much smaller than sigma do not change the weights."""
    seen = scene(noise_mm=1.0)
    calm = from_cameras(DEFAULT_RIG.cameras([4, -6, 9], lens_for("orthographic", 420.0), 420.0), seen.xy, 300.0)

    np.testing.assert_allclose(fuse(calm, "robust").xyz_mm, fuse(calm, "weighted").xyz_mm, atol=1e-3)
    np.testing.assert_allclose(fuse(calm, "consensus").xyz_mm, fuse(calm, "weighted").xyz_mm, atol=1e-6)
