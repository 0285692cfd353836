"""Error bars hold on unseen data."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from featurelib.errors import DataError
from featurelib.models.uncertainty.conformal import (
    CHI_68,
    CHI_95,
    CONFIDENCE,
    ErrorBars,
    calibrate,
    conformal_bound,
)


def _residuals(random: np.random.Generator, count: int, *, heavy: bool = False) -> np.ndarray:
    """Return errors (count, 2, 3) in mm whose instances correlate by 0.6, of Gaussian or heavy-tailed size."""
    shared, own = random.normal(size=(count, 1, 3)), random.normal(size=(count, 2, 3))
    size = random.standard_t(2.5, size=(count, 1, 1)) if heavy else 1.0
    return size * (np.sqrt(0.6) * shared + np.sqrt(0.4) * own)


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("num_objects", [32, 80])
def test_bounds_hold_on_new_objects(level, heavy, num_objects) -> None:
    """Of many sets of validation objects, four in five give a bound that at least the requested share is below."""
    random, held = np.random.default_rng(0), []
    new = np.sort(np.linalg.norm(_residuals(random, 20_000, heavy=heavy), axis=-1), axis=None)
    for _ in range(400):
        bound = conformal_bound(np.linalg.norm(_residuals(random, num_objects, heavy=heavy), axis=-1), level)
        assert bound.exact
        held.append(np.searchsorted(new, bound.value, side="right") / new.size)

    assert np.mean(np.array(held) >= level) >= CONFIDENCE - 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / 400)
    assert np.mean(held) <= level + 3 * np.sqrt(level * (1 - level) / num_objects)


@given(st.lists(st.floats(0.01, 100), min_size=32, max_size=120, unique=True))
@settings(deadline=None, max_examples=50)
def test_a_single_score_per_object_gives_the_textbook_rank(scores) -> None:
    """The bound is the k-th smallest, k the first whose coverage, a Beta variable, is 0.95 in four of five sets."""
    n = len(scores)
    rank = next(k for k in range(1, n + 1) if stats.beta.sf(0.95, k, n + 1 - k) >= CONFIDENCE)

    assert conformal_bound(scores, 0.95) == (sorted(scores)[rank - 1], True)
    assert conformal_bound(np.repeat(np.array(scores)[:, None], 2, axis=1), 0.95).value == sorted(scores)[rank - 1]


@pytest.mark.parametrize(("level", "needed"), [(0.95, 32), (0.68, 5)])
def test_bounds_of_few_objects_are_not_exact(level, needed) -> None:
    """With one object fewer than the level needs, the bound is at least the largest value seen."""
    lengths = np.linalg.norm(_residuals(np.random.default_rng(1), needed), axis=-1)

    assert conformal_bound(lengths, level).exact
    few = conformal_bound(lengths[1:], level)
    assert not few.exact
    assert few.value >= lengths[1:].max()


@pytest.mark.parametrize("num_objects", [1, 2, 5, 12])
def test_few_gaussian_objects_give_bounds_that_hold(num_objects) -> None:
    """With a handful of objects, the extrapolated bound covers at least the requested share."""
    random = np.random.default_rng(2)
    held, values = [], []
    for _ in range(400):
        lengths = np.linalg.norm(_residuals(random, num_objects + 20), axis=-1)
        values.append(conformal_bound(lengths[:num_objects], 0.95).value)
        held.append((lengths[num_objects:] <= values[-1]).mean())

    assert np.mean(held) >= 0.94
    assert np.median(values) > CHI_95


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_wrong_covariances_are_scaled_right(factor) -> None:
    """Covariances that are too small or too large by a factor get that factor back; exact ones get 1."""
    random = np.random.default_rng(3)
    shapes = random.normal(size=(3000, 2, 3, 3))
    covariances = shapes @ shapes.swapaxes(-1, -2) + np.eye(3)
    residuals = (np.linalg.cholesky(covariances) @ random.normal(size=(3000, 2, 3, 1)))[..., 0]

    bars = calibrate(residuals, covariances * factor**2)

    assert bars.scale_68 == pytest.approx(1 / factor, rel=0.03)
    assert bars.scale_95 == pytest.approx(1 / factor, rel=0.03)


def test_scaled_sigmas_fit_each_point() -> None:
    """If the predicted deviations know the size, scaled 95 % radii hold among small and among large errors."""
    random = np.random.default_rng(4)
    sizes = random.choice([0.5, 4.0], size=(2000, 2))
    residuals = random.normal(size=(2000, 2, 3)) * sizes[..., None]

    bars = calibrate(residuals[:1000], sizes[:1000] * 2)

    new = np.linalg.norm(residuals[1000:], axis=-1)
    for size in (0.5, 4.0):
        held = new[sizes[1000:] == size] <= 2 * size * bars.scale_95 * CHI_95
        assert held.mean() == pytest.approx(0.95, abs=0.02)
    assert 2 * bars.scale_68 == pytest.approx(1, rel=0.05)
    assert (new <= bars.radius_95_mm).mean() == pytest.approx(0.95, abs=0.02)


def test_gaussian_errors_have_the_bars_of_a_gaussian() -> None:
    """sigma along one axis and the radii of 68 and 95 % come out as in the tables."""
    bars = calibrate(_residuals(np.random.default_rng(5), 4000) * 1.7)

    assert bars.sigma_mm == pytest.approx(1.7, rel=0.03)
    assert bars.radius_68_mm == pytest.approx(1.7 * CHI_68, rel=0.03)
    assert bars.radius_95_mm == pytest.approx(1.7 * CHI_95, rel=0.03)
    assert (bars.scale_68, bars.scale_95, bars.exact, bars.num_objects) == (None, None, True, 4000)


def test_few_objects_widen_sigma() -> None:
    """Five objects whose errors are all 1 mm along each axis have a sigma above 1 mm."""
    bars = calibrate(np.ones((5, 2, 3)))

    assert not bars.exact
    assert 1.2 < bars.sigma_mm < 2


def test_missing_answers_do_not_count() -> None:
    """Objects without an answer change nothing."""
    residuals = _residuals(np.random.default_rng(6), 50)
    missing = np.concatenate([residuals, np.full((4, 2, 3), np.nan)])

    assert calibrate(missing, np.ones((54, 2))) == calibrate(residuals, np.ones((50, 2)))


@pytest.mark.parametrize("predicted", [None, np.ones((30, 2))])
def test_bars_survive_json(predicted) -> None:
    """What is written is what is read."""
    bars = calibrate(_residuals(np.random.default_rng(7), 30), predicted)

    assert ErrorBars.from_dict(json.loads(json.dumps(bars.to_dict()))) == bars


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibrate(np.full((4, 2, 3), np.nan)), "no validation object has an answer"),
        (lambda: calibrate(np.empty((0, 2, 3))), "no validation object has an answer"),
        (lambda: calibrate(np.ones((4, 3)), np.zeros(4)), "sigma is not positive"),
        (lambda: calibrate(np.ones((4, 3)), np.zeros((4, 3, 3))), "not positive definite"),
        (lambda: ErrorBars.from_dict({"sigma": 1}), "models again"),
    ],
)
def test_refuses_what_cannot_be_calibrated(call, message) -> None:
    """Without answers, or with deviations that are not positive, there is an error."""
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_many_unlike_scores_are_worth_many_objects(alike) -> None:
    """Ten objects of 30 independent scores give an exact bound near the quantile; equal scores count once."""
    random = np.random.default_rng(0)
    own, common = random.normal(size=(10, 30, 3)), random.normal(size=(10, 1, 3))
    lengths = np.linalg.norm(alike * common + (1 - alike) * own, axis=-1)

    bound = conformal_bound(lengths, 0.95, independent=30)

    assert bound.exact == (alike == 0)
    if alike:
        assert bound == conformal_bound(lengths, 0.95)
    else:
        assert CHI_95 * 0.9 < bound.value < conformal_bound(lengths, 0.95).value
