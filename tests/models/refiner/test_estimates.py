"""First estimates: the method to start from, and its errors."""

import numpy as np
import pytest

from featurelib.geometry import LandmarkSet
from featurelib.models.refiner.estimates import FirstEstimates
from featurelib.models.refiner.sides import refined_sides
from featurelib.models.refiner.stages import CropSize

COUNT = 40


PAIR = refined_sides(LandmarkSet.single_pair("tip"))


def _estimates(**sigmas_mm: float) -> FirstEstimates:
    random = np.random.default_rng(0)
    truths_mm = random.normal(0, 50, (COUNT, 2, 3))
    estimates_mm = {method: truths_mm + random.normal(0, sigma, truths_mm.shape) for method, sigma in sigmas_mm.items()}
    meshes, absent = tuple(f"{i}.ply" for i in range(COUNT)), np.zeros((COUNT, 2), bool)
    return FirstEstimates(PAIR, meshes, truths_mm, absent, estimates_mm)


def test_the_start_is_the_method_with_the_better_median() -> None:
    """A few gross errors do not change the start; many missing estimates do."""
    estimates = _estimates(template=3.0, mlp=1.0)
    estimates.estimates_mm["mlp"][:10] += 500.0

    assert estimates.start == "mlp"
    assert estimates.validation_mm["mlp"] > estimates.validation_mm["template"]
    estimates.estimates_mm["mlp"][:25] = np.nan
    assert estimates.start == "template"
    assert _estimates(template=3.0, mlp=9.0).start == "template"


def test_objects_without_an_estimate_of_the_start_are_left_out() -> None:
    estimates = _estimates(template=3.0, mlp=1.0)
    estimates.estimates_mm["mlp"][[2, 5]] = np.nan
    with_start = estimates.with_start()

    assert len(with_start.meshes) == COUNT - 2
    assert {"2.ply", "5.ply"}.isdisjoint(with_start.meshes)
    assert np.array_equal(with_start.truths_mm, np.delete(estimates.truths_mm, [2, 5], axis=0))


def test_unlabelled_landmarks_need_no_estimate() -> None:
    """They count neither for the start nor for the errors; an object without any label is left out."""
    estimates = _estimates(template=3.0, mlp=1.0)
    estimates.truths_mm[:30, 1] = np.nan
    estimates.estimates_mm["mlp"][:30, 1] = np.nan
    estimates.truths_mm[4] = np.nan

    assert estimates.start == "mlp"
    assert {"4.ply"} == {*estimates.meshes} - {*estimates.with_start().meshes}
    assert len(estimates.residuals_mm("mlp")) == 2 * COUNT - 31
    assert np.isfinite(list(estimates.validation_mm.values())).all()


@pytest.mark.parametrize("failures", [1, 5])
def test_gross_errors_do_not_widen_the_crops(failures) -> None:
    """The crop width depends on the errors of nearly all objects, not on the few largest."""
    estimates = _estimates(template=3.0)
    alone = estimates.crop_size(100.0).width_mm
    estimates.estimates_mm["template"][:failures] += 400.0

    assert alone <= estimates.crop_size(100.0).width_mm < 2.5 * alone


def test_initial_errors_are_those_of_all_methods_that_fit_the_crop() -> None:
    """They are error vectors of both sides; those that are not finite or exceed the crop are left out."""
    estimates = _estimates(template=3.0, mlp=1.0)
    estimates.estimates_mm["mlp"][0] = np.nan
    estimates.estimates_mm["template"][0] += 400.0
    initial_errors = estimates.initial_errors(CropSize(80.0))

    assert len(initial_errors.residuals_mm) == 2 * (2 * COUNT - 2)
    assert np.abs(initial_errors.residuals_mm).max() <= 40.0
    left = estimates.estimates_mm["template"][7, 0] - estimates.truths_mm[7, 0]
    right = (estimates.estimates_mm["mlp"][7, 1] - estimates.truths_mm[7, 1]) * (-1, 1, 1)
    for residual in (left, right):
        assert np.isclose(initial_errors.residuals_mm, residual).all(axis=1).any()


def test_a_method_with_only_large_errors_still_gives_initial_errors() -> None:
    initial_errors = _estimates(template=300.0).initial_errors(CropSize(10.0))

    assert len(initial_errors.residuals_mm) == 2 * COUNT
