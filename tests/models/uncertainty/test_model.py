"""Uncertainty fitted on some objects and checked on others."""

import json

import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.models.uncertainty.model import LEVELS, UncertaintyModel, fit_uncertainty, held, held_by_landmark

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

    for level, share in held(uncertainty.inside(residuals_mm, covariance_mm2)):
        assert share == pytest.approx(level, abs=0.02)


def test_the_scaled_covariance_is_that_of_the_errors(uncertainty) -> None:
    """In every direction, if the method's own was wrong by a factor."""
    _, covariance_mm2, scores = _answers(2, 1)

    uncertainty = uncertainty.of(covariance_mm2[0], scores[0])

    np.testing.assert_allclose(uncertainty.covariance_mm2, np.broadcast_to(4 * SHAPE, (2, 3, 3)), rtol=0.1)
    np.testing.assert_allclose(uncertainty.sigma_mm, np.sqrt(4 * np.trace(SHAPE) / 3), rtol=0.05)


def test_an_outlier_is_rejected_with_a_reason(uncertainty) -> None:
    usual, far = {"move": np.array([1.0, 1.0]), "size": 1.0}, {"move": np.array([1.0, 99.0]), "size": 1.0}
    own = np.broadcast_to(SHAPE, (2, 3, 3))

    assert uncertainty.of(own, usual).accepted_all
    assert uncertainty.of(own, usual).summary(("l", "r")) == ""
    found = uncertainty.of(own, far)
    assert found.accepted.tolist() == [True, False]
    assert not found.accepted_all
    assert found.reasons[1].startswith("the crops moved the first estimate by 99 mm, more than")
    assert found.summary(("l", "r")) == f"r: {found.reasons[1]}"
    large = uncertainty.of(own, {**usual, "size": 99.0})
    assert not large.accepted.any()
    assert large.summary(("l", "r")) == large.reasons[0] == large.reasons[1]


def test_a_model_survives_json(uncertainty) -> None:
    assert UncertaintyModel.from_dict(json.loads(json.dumps(uncertainty.to_dict()))) == uncertainty
    assert len(uncertainty.scales) == len(LEVELS)


def test_objects_without_an_answer_do_not_count() -> None:
    """They neither widen the regions nor count as held."""
    residuals_mm, covariance_mm2, scores = _answers(3, 100)
    some = residuals_mm.copy()
    some[::4] = np.nan

    uncertainty = fit_uncertainty(some, covariance_mm2, scores)

    answered = residuals_mm[np.arange(100) % 4 > 0]
    assert uncertainty.scales == fit_uncertainty(answered, covariance_mm2[:75], scores[:75]).scales
    assert held(uncertainty.inside(some, covariance_mm2))[-1][1] == pytest.approx(0.95, abs=0.05)
    with pytest.raises(DataError, match="no validation object has an answer"):
        fit_uncertainty(np.full((3, 2, 3), np.nan), covariance_mm2[:3], scores[:3])


SIZES = np.array([0.5, 0.5, 1.0, 1.0, 3.0, 1.5])
CHANNEL = np.array([0, 0, 1, 1, 2, 3])


def _set_answers(seed: int, count: int, common: float = 0.3) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Return errors (count, 6, 3) whose size depends on the landmark, while the method claims 1 mm for all."""
    random = np.random.default_rng(seed)
    size = np.exp(common * random.normal(size=(count, 1, 1))) * SIZES[:, None]
    residuals_mm = random.normal(size=(count, 6, 3)) * size
    scores = [{"move": random.gamma(2, size=6), "size": float(random.gamma(2))} for _ in range(count)]
    return residuals_mm, np.broadcast_to(np.eye(3), (count, 6, 3, 3)), scores


def test_error_bars_are_those_of_each_landmark() -> None:
    """A badly defined landmark has wide regions and a well defined one narrow ones; mirror images share a factor."""
    uncertainty = fit_uncertainty(*_set_answers(0, 200), CHANNEL)

    sigma_mm = uncertainty.of(*(part[0] for part in _set_answers(1, 1)[1:])).sigma_mm

    assert sigma_mm[0] == sigma_mm[1]
    np.testing.assert_allclose(sigma_mm / sigma_mm[2], SIZES, rtol=0.15)
    by_landmark = held_by_landmark(uncertainty.inside(*_set_answers(2, 2000)[:2]))
    np.testing.assert_allclose(by_landmark[0.68], 0.68, atol=0.08)
    np.testing.assert_allclose(by_landmark[0.95], 0.95, atol=0.05)


@pytest.mark.parametrize("count", [12, 40, 100])
def test_coverage_over_all_landmarks_holds_for_few_objects(count) -> None:
    """Averaged over many sets of validation objects, the regions of 68 and 95 % hold about as often as they claim."""

    def answers(seed: int, num_objects: int) -> tuple[np.ndarray, np.ndarray, list[dict]]:
        parts = [_set_answers(4 * seed + i, num_objects, 0.15) for i in range(4)]  # 24 landmarks in 16 channels
        residuals_mm, covariance_mm2 = (np.concatenate([part[i] for part in parts], axis=1) for i in range(2))
        return residuals_mm, covariance_mm2, [{"size": of_one["size"]} for of_one in parts[0][2]]

    channel = np.concatenate([CHANNEL + 4 * i for i in range(4)])
    residuals_mm, covariance_mm2, _ = answers(999, 2000)
    shares = [
        dict(held(fit_uncertainty(*answers(seed, count), channel).inside(residuals_mm, covariance_mm2)))
        for seed in range(20)
    ]

    assert 0.65 < np.mean([each[0.68] for each in shares]) < 0.75
    assert 0.93 < np.mean([each[0.95] for each in shares]) < 0.98


def test_a_single_pair_has_no_factors() -> None:
    """Its two landmarks share a channel, so the model is that of both pooled."""
    answers = _answers(4, 60)

    uncertainty = fit_uncertainty(*answers, [0, 0])

    assert uncertainty == fit_uncertainty(*answers)
    assert uncertainty.factors == (1.0, 1.0)


def test_unlabelled_landmarks_poison_nothing() -> None:
    """Missing errors of one landmark leave finite bars of all, and one without any label has the factor 1."""
    residuals_mm, covariance_mm2, scores = _set_answers(5, 60)
    residuals_mm[::2, 2:4], residuals_mm[:, 5] = np.nan, np.nan
    for of_one in scores:
        of_one["move"][5] = np.nan

    uncertainty = fit_uncertainty(residuals_mm, covariance_mm2, scores, CHANNEL)

    assert np.isfinite(uncertainty.factors).all()
    assert uncertainty.factors[5] == pytest.approx(1)
    found = uncertainty.of(covariance_mm2[0], scores[0])
    assert np.isfinite(found.sigma_mm).all()
    assert not found.accepted[5]
    assert np.isnan(held_by_landmark(uncertainty.inside(residuals_mm, covariance_mm2))[0.68][5])
