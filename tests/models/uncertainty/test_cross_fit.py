"""Cross-fitted uncertainty: a fold's regions do not depend on its own errors."""

import numpy as np
import pytest

from featurelib.models.uncertainty.cross_fit import CrossFittedUncertainty
from featurelib.models.uncertainty.model import LEVELS, fit_uncertainty, held, held_by_landmark


def answers(count: int):
    """Gaussian errors of a pair, covariances that are four times too small, one score, and five folds."""
    random = np.random.default_rng(0)
    residuals_mm = random.normal(0, 2, (count, 2, 3))
    covariance_mm2 = np.broadcast_to(np.eye(3), (count, 2, 3, 3))
    return residuals_mm, covariance_mm2, [{"move": float(x)} for x in random.random(count)], np.arange(count) % 5


def test_regions_of_a_fold_are_those_of_the_other_folds():
    """Errors of a fold change the regions of all others, and not its own."""
    residuals_mm, covariance_mm2, scores, folds = answers(60)
    worse_mm = np.where((folds == 2)[:, None, None], 10 * residuals_mm, residuals_mm)

    before, after = (CrossFittedUncertainty.fit(r, covariance_mm2, scores, folds) for r in (residuals_mm, worse_mm))

    assert before.models[2] == after.models[2]
    others = folds != 2
    alone = fit_uncertainty(residuals_mm[others], covariance_mm2[others], [scores[i] for i in np.flatnonzero(others)])
    assert before.models[2] == alone
    assert all(after.models[fold].scales > before.models[fold].scales for fold in (0, 1, 3, 4))
    assert [before.of(i) for i in range(60)] == [before.models[i % 5] for i in range(60)]


def test_cross_fitted_regions_hold():
    """On 2,000 objects the shares are those of the levels, for all landmarks and for each."""
    residuals_mm, covariance_mm2, scores, folds = answers(2000)
    uncertainty = CrossFittedUncertainty.fit(residuals_mm, covariance_mm2, scores, folds)
    inside = uncertainty.inside(residuals_mm, covariance_mm2)

    for level, share in held(inside):
        assert share == pytest.approx(level, abs=0.03)
        np.testing.assert_allclose(held_by_landmark(inside)[level], level, atol=0.04)


def test_an_unknown_error_is_neither_inside_nor_outside():
    """It is NaN at all levels."""
    residuals_mm, covariance_mm2, scores, folds = answers(50)
    residuals_mm[7, 1] = np.nan
    uncertainty = CrossFittedUncertainty.fit(residuals_mm, covariance_mm2, scores, folds)

    unknown = np.isnan(uncertainty.inside(residuals_mm, covariance_mm2))
    assert unknown.sum() == len(LEVELS)
    assert unknown[:, 7, 1].all()
