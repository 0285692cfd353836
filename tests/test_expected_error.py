"""Errors expected from scores."""

import json

import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.expected_error import ErrorModel, cross_fitted, fit_error_model, rank_correlation


def _objects(count: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return residuals (count, 2, 3), a score that knows their size roughly and one that knows nothing."""
    random = np.random.default_rng(seed)
    size = random.gamma(2, size=(count, 2))
    residuals = random.normal(size=(count, 2, 3)) * size[..., None]
    return residuals, {"move": size * random.uniform(0.7, 1.4, (count, 2)), "noise": random.random((count, 2))}


def test_a_telling_score_is_followed() -> None:
    """The expected error rises with the score, never falls, and orders new errors much better than chance."""
    residuals, scores = _objects(150)
    model = fit_error_model(residuals, {"move": scores["move"]})

    grid = model({"move": np.linspace(0, 10, 100)})

    assert (np.diff(grid) >= 0).all()
    assert grid[-1] > 3 * grid[0]
    new, new_scores = _objects(150, seed=1)
    assert rank_correlation(model(new_scores), np.linalg.norm(new, axis=-1)) > 0.5


def test_a_score_that_tells_nothing_promises_nothing() -> None:
    """The expected error hardly varies, and its mean square is that of the errors."""
    residuals, scores = _objects(400)
    expected = fit_error_model(residuals, {"noise": scores["noise"]})(scores)

    assert np.ptp(expected) < 0.5 * expected.mean()
    assert np.mean(expected**2) == pytest.approx(np.mean(residuals**2), rel=0.05)


def test_few_objects_give_one_figure_for_all() -> None:
    """Below two bins of points the model is the root mean square error."""
    residuals, scores = _objects(15)

    expected = fit_error_model(residuals, scores)(scores)

    np.testing.assert_allclose(expected, np.sqrt(np.mean(residuals**2)))


def test_an_unknown_score_counts_as_the_worst() -> None:
    """NaN is expected to be as wrong as the largest score."""
    residuals, scores = _objects(100)
    model = fit_error_model(residuals, {"move": scores["move"]})

    assert model({"move": np.nan}) == model({"move": 1e9})


def test_held_out_predictions_come_from_other_objects() -> None:
    """Changing an object's own errors does not change what is expected of it."""
    residuals, scores = _objects(60)
    changed = residuals.copy()
    changed[7] *= 100

    before, after = cross_fitted(residuals, scores), cross_fitted(changed, scores)

    np.testing.assert_array_equal(before[7], after[7])
    assert (before != after).any()
    assert np.isfinite(cross_fitted(residuals[:1], {name: values[:1] for name, values in scores.items()})).all()


def test_a_model_survives_json() -> None:
    """What is written is what is read."""
    model = fit_error_model(*_objects(60))

    assert ErrorModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_rank_correlation_is_spearmans() -> None:
    """Monotone pairs give 1 and -1, ties share ranks, NaN pairs and constants say nothing."""
    x = np.array([1.0, 2.0, 3.0, 4.0])

    assert rank_correlation(x, x**3) == pytest.approx(1)
    assert rank_correlation(x, -np.exp(x)) == pytest.approx(-1)
    assert rank_correlation([1, 1, 2, 2], [1, 2, 3, 4]) == pytest.approx(0.8944272)
    assert rank_correlation([*x, np.nan], [*x, 0]) == pytest.approx(1)
    assert rank_correlation(np.ones(5), np.arange(5)) == 0
    assert rank_correlation([1, 2], [1, 2]) == 0


def test_refuses_what_gives_no_model() -> None:
    """No errors, or a score that is missing later, are errors in words."""
    residuals, scores = _objects(30)
    with pytest.raises(DataError, match="no validation object"):
        fit_error_model(np.full((3, 2, 3), np.nan), {})
    with pytest.raises(DataError, match="'noise' is missing"):
        fit_error_model(residuals, scores)({"move": 1.0})
