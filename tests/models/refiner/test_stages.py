"""Frames follow from errors and sizes."""

import numpy as np
import pytest

from featurelib.errors import UsageError
from featurelib.models.refiner.stages import (
    AZIMUTHS_DEG,
    CANDIDATES,
    ELEVATIONS_DEG,
    Frame,
    InitialErrors,
    first_frame,
    narrower_frame,
)


def _residuals(sigma_mm: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma_mm, (500, 3))


@pytest.mark.parametrize("sigma_mm", [0.5, 3.0, 20.0])
@pytest.mark.parametrize("size_mm", [10.0, 450.0, 4000.0])
def test_all_but_one_start_in_a_hundred_lie_well_inside_the_frame(sigma_mm, size_mm) -> None:
    residuals = _residuals(sigma_mm)
    first = first_frame(residuals, [size_mm])
    second = narrower_frame(residuals / 6, first)

    for frame, errors in ((first, residuals), (second, residuals / 6)):
        assert (np.linalg.norm(errors, axis=1) < frame.width_mm / 4 * 1.0001).mean() >= 0.99
    assert second.width_mm <= first.width_mm


def test_one_failure_does_not_widen_the_frame() -> None:
    """Of 20 errors one is beyond all measure; that is 5 % of them, and more than the percentile."""
    residuals = np.concatenate([_residuals(3.0)[:19], [[1000.0, 0, 0]]])

    assert first_frame(residuals, [100.0]).width_mm < 5 * 4 * 2 * 3.0


def test_frames_scale_with_the_objects() -> None:
    residuals = _residuals(3.0)
    first, larger = first_frame(residuals, [450.0]), first_frame(10 * residuals, [4500.0])

    assert np.isclose(larger.width_mm, 10 * first.width_mm)
    second, second_larger = narrower_frame(residuals / 2, first), narrower_frame(5 * residuals, larger)
    assert np.isclose(second_larger.width_mm, 10 * second.width_mm)


def test_a_look_after_is_never_wider_than_the_one_before() -> None:
    assert narrower_frame(_residuals(50.0), Frame(60.0)) == Frame(60.0)


def test_all_candidate_views_were_seen_in_training() -> None:
    for view in CANDIDATES:
        assert AZIMUTHS_DEG[0] <= view.azimuth_deg <= AZIMUTHS_DEG[1]
        assert ELEVATIONS_DEG[0] <= view.elevation_deg <= ELEVATIONS_DEG[1]


def test_starts_need_residuals() -> None:
    with pytest.raises(UsageError, match="0 residuals"):
        InitialErrors.from_residuals(np.empty((0, 3)))
    with pytest.raises(UsageError, match="finite"):
        InitialErrors.from_residuals([[np.nan, 0, 0]])
