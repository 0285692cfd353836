"""Uncertainty fitted on some objects and checked on others."""

import json

import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.models.uncertainty.model import LEVELS, UncertaintyModel, fit_uncertainty

COUNT = 4000
SHAPE = np.diag([0.04, 0.09, 0.25])
"""The method's own covariance. Its errors are twice as large."""


def _answers(seed: int, count: int = COUNT) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Return residuals (n, 2, 3), the method's own covariances and quality scores."""
    random = np.random.default_rng(seed)
    residuals_mm = 2 * random.normal(size=(count, 2, 3)) * np.sqrt(np.diag(SHAPE))
    scores = [{"move": random.gamma(2, size=2), "size": float(random.gamma(2))} for _ in range(count)]
    return residuals_mm, np.broadcast_to(SHAPE, (count, 2, 3, 3)), scores


@pytest.fixture(scope="module")
def uncertainty() -> UncertaintyModel:
    return fit_uncertainty(*_answers(0))


def test_regions_hold_with_their_probability(uncertainty) -> None:
    """On new objects of the same kind, at every level."""
    residuals_mm, covariance_mm2, _ = _answers(1)

    for level, held in uncertainty.held(residuals_mm, covariance_mm2):
        assert held == pytest.approx(level, abs=0.02)


def test_the_scaled_covariance_is_that_of_the_errors(uncertainty) -> None:
    """In every direction, if the method's own was wrong by a factor."""
    _, covariance_mm2, scores = _answers(2, 1)

    uncertainty = uncertainty.of(covariance_mm2[0], scores[0])

    np.testing.assert_allclose(uncertainty.covariance_mm2, np.broadcast_to(4 * SHAPE, (2, 3, 3)), rtol=0.1)
    np.testing.assert_allclose(uncertainty.sigma_mm, np.sqrt(4 * np.trace(SHAPE) / 3), rtol=0.05)


def test_an_outlier_is_rejected_with_a_reason(uncertainty) -> None:
    usual, far = {"move": np.array([1.0, 1.0]), "size": 1.0}, {"move": np.array([1.0, 99.0]), "size": 1.0}
    own = np.broadcast_to(SHAPE, (2, 3, 3))

    assert uncertainty.of(own, usual)[2:] == (True, "")
    accepted, reason = uncertainty.of(own, far)[2:]
    assert not accepted
    assert reason.startswith("right: the crops moved the first estimate by 99 mm, more than")


def test_a_model_survives_json(uncertainty) -> None:
    assert UncertaintyModel.from_dict(json.loads(json.dumps(uncertainty.to_dict()))) == uncertainty
    assert len(uncertainty.scales) == len(LEVELS)


def test_objects_without_an_answer_do_not_count() -> None:
    """They neither widen the regions nor count as held."""
    residuals_mm, covariance_mm2, scores = _answers(3, 100)
    some = residuals_mm.copy()
    some[::4] = np.nan

    uncertainty = fit_uncertainty(some, covariance_mm2, scores)

    assert (
        uncertainty.scales == fit_uncertainty(residuals_mm[np.arange(100) % 4 > 0], covariance_mm2[:75], scores).scales
    )
    assert uncertainty.held(some, covariance_mm2)[-1][1] == pytest.approx(0.95, abs=0.05)
    with pytest.raises(DataError, match="no validation object has an answer"):
        fit_uncertainty(np.full((3, 2, 3), np.nan), covariance_mm2[:3], scores[:3])
