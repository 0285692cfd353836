"""Crop sizes follow from errors and object sizes."""

import numpy as np
import pytest

from featurelib.errors import UsageError
from featurelib.models.refiner.stages import (
    CropSize,
    InitialErrors,
    first_crop_size,
    narrower_crop_size,
)


def _residuals(sigma_mm: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma_mm, (500, 3))


@pytest.mark.parametrize("sigma_mm", [0.5, 3.0, 20.0])
@pytest.mark.parametrize("size_mm", [10.0, 450.0, 4000.0])
def test_99_percent_of_the_initial_errors_are_well_inside_the_crop(sigma_mm, size_mm) -> None:
    residuals = _residuals(sigma_mm)
    first = first_crop_size(residuals, [size_mm])
    second = narrower_crop_size(residuals / 6, first)

    for crop_size, errors in ((first, residuals), (second, residuals / 6)):
        assert (np.linalg.norm(errors, axis=1) < crop_size.width_mm / 4 * 1.0001).mean() >= 0.99
    assert second.width_mm <= first.width_mm


def test_one_failure_does_not_widen_the_crops() -> None:
    """One of 20 errors is gross: 5 %, more than the percentile excludes."""
    residuals = np.concatenate([_residuals(3.0)[:19], [[1000.0, 0, 0]]])

    assert first_crop_size(residuals, [100.0]).width_mm < 5 * 4 * 2 * 3.0


def test_crops_scale_with_the_objects() -> None:
    residuals = _residuals(3.0)
    first, larger = first_crop_size(residuals, [450.0]), first_crop_size(10 * residuals, [4500.0])

    assert np.isclose(larger.width_mm, 10 * first.width_mm)
    second, second_larger = narrower_crop_size(residuals / 2, first), narrower_crop_size(5 * residuals, larger)
    assert np.isclose(second_larger.width_mm, 10 * second.width_mm)


def test_a_later_stage_is_never_wider_than_the_one_before() -> None:
    assert narrower_crop_size(_residuals(50.0), CropSize(60.0)) == CropSize(60.0)


def test_initial_errors_need_residuals() -> None:
    with pytest.raises(UsageError, match="0 residuals"):
        InitialErrors.from_residuals(np.empty((0, 3)))
    with pytest.raises(UsageError, match="finite"):
        InitialErrors.from_residuals([[np.nan, 0, 0]])
