"""Bootstrap intervals, by object."""

import numpy as np
import pytest

from featurelib.errors import DataError, UsageError
from featurelib.evaluation.bootstrap import STATISTICS, difference, interval

ERRORS = np.random.default_rng(0).gamma(2, size=(60, 2))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_interval_surrounds_the_statistic(statistic) -> None:
    """The statistic is inside; more objects narrow the interval, a higher level widens it."""
    measured = {"mean": np.mean, "median": np.median, "p95": lambda errors: np.percentile(errors, 95)}[statistic](
        ERRORS
    )

    low, high = interval(ERRORS, statistic)

    assert low < measured < high
    many = np.random.default_rng(1).gamma(2, size=(960, 2))
    assert np.ptp(interval(many, statistic)) < 0.5 * (high - low)
    assert np.ptp(interval(ERRORS, statistic, level=0.99)) > high - low > np.ptp(interval(ERRORS, statistic, level=0.5))


def test_the_mean_of_many_objects_has_the_textbook_interval() -> None:
    """If both instances have the same error, it is the normal interval of n objects, not of 2 n points."""
    errors = np.repeat(np.random.default_rng(2).normal(5, 1, size=(400, 1)), 2, axis=1)

    low, high = interval(errors, num_boot=4000)

    expected = 1.96 * errors[:, 0].std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], errors.mean() + np.array([-1, 1]) * expected, atol=0.1 * expected)


def test_intervals_contain_the_true_value_with_their_level() -> None:
    """Of 200 samples of 60 objects, the 95 % interval of the mean contains the true mean about 95 % of the time."""
    random = np.random.default_rng(3)
    intervals = [interval(random.gamma(2, size=(60, 2)), num_boot=300, seed=i) for i in range(200)]

    held = sum(low <= 2 <= high for low, high in intervals)
    assert 178 <= held <= 200  # binomial, 3.9 standard deviations below 0.95


@pytest.mark.parametrize("statistic", STATISTICS)
def test_missing_answers_are_left_out(statistic) -> None:
    """An object without an answer changes nothing; one with a single answer counts with that answer."""
    with_missing = np.concatenate([ERRORS, np.full((1, 2), np.nan)])
    half = ERRORS.copy()
    half[0, 1] = np.nan

    assert interval(with_missing, statistic) == interval(ERRORS, statistic)
    assert np.isfinite(interval(half, statistic)).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_resample_has_the_statistic_of_its_objects(statistic) -> None:
    """The ends are quantiles of the statistic of objects drawn one by one, of those with an answer."""
    errors = np.where(np.random.default_rng(5).random(ERRORS.shape) < 0.2, np.nan, ERRORS)[:30]
    answered, random = errors[np.isfinite(errors).any(axis=1)], np.random.default_rng(0)
    chosen = random.integers(len(answered), size=(200, len(answered)))
    measure = {"mean": np.nanmean, "median": np.nanmedian, "p95": lambda drawn: np.nanpercentile(drawn, 95)}[statistic]

    expected = np.quantile([measure(answered[each]) for each in chosen], [0.025, 0.975])

    np.testing.assert_allclose(interval(errors, statistic, num_boot=200), expected)


def test_a_seed_gives_the_same_interval(monkeypatch) -> None:
    """Also if not all resamples fit into memory at once."""
    whole = interval(ERRORS, "p95", seed=4)

    assert interval(ERRORS, "p95", seed=4) == whole
    assert interval(ERRORS, "p95", seed=5) != whole
    monkeypatch.setattr("featurelib.evaluation.bootstrap.MAX_NUMBERS", 5000)
    assert interval(ERRORS, "p95", seed=4) == whole


def test_a_difference_has_a_narrower_interval_than_its_parts() -> None:
    """If one method is 0.1 better on each object, the interval excludes zero, although the two intervals overlap."""
    better = ERRORS - 0.1

    low, high = difference(better, ERRORS)

    assert low == pytest.approx(-0.1)
    assert high == pytest.approx(-0.1)
    assert interval(better)[1] > interval(ERRORS)[0]
    assert difference(ERRORS, ERRORS, "p95") == (0, 0)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: interval(ERRORS, "mode"), UsageError, "expected one of mean, median, p95"),
        (lambda: interval(ERRORS, level=95), UsageError, "between 0 and 1"),
        (lambda: interval(np.full((3, 2), np.nan)), DataError, "no errors"),
        (lambda: interval([]), DataError, "no errors"),
        (lambda: difference(ERRORS, ERRORS[1:]), UsageError, "same objects"),
    ],
)
def test_impossible_intervals_are_errors(call, kind, message) -> None:
    """Unknown statistics, impossible levels and empty samples have a message each."""
    with pytest.raises(kind, match=message):
        call()
