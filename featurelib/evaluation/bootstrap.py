"""Bootstrap intervals of mean, median and 95th percentile errors, with whole objects resampled.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval). Objects are resampled,
not points, because the errors of an object's landmarks are correlated (0.5 to 0.8 in a pair): 60 objects have
less information than 120 points. With fewer than about 20 objects the intervals are too narrow. An interval of the 95th
percentile never exceeds the largest error seen.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError, UsageError

STATISTICS = ("mean", "median", "p95")
"""The statistics of errors in report.json; NaN (no answer) is left out."""

PERCENTILES = {"median": 50.0, "p95": 95.0}

MAX_NUMBERS = 4_000_000
"""Numbers drawn at once: they take about 50 MB."""

NUM_BOOT = 2000


def interval(
    errors: ArrayLike, statistic: str = "mean", *, level: float = 0.95, num_boot: int = NUM_BOOT, seed: int = 0
) -> tuple[float, float]:
    """Return the lower and upper end of an interval of a statistic of errors.

    Args:
        errors: (n,) or (n, p), one row per object; NaN without an answer.
        statistic: a key of STATISTICS.
        level: probability that the interval contains the true value, 0 to 1.
        num_boot: number of resamples.
        seed: the same seed draws the same objects.

    Raises:
        UsageError: if the statistic is unknown or the level is not between 0 and 1.
        DataError: if there is no error at all.
    """
    values = _by_object(errors)
    return _ends(_resampled(values, statistic, num_boot, seed), level)


def difference(
    errors: ArrayLike,
    other: ArrayLike,
    statistic: str = "mean",
    *,
    level: float = 0.95,
    num_boot: int = NUM_BOOT,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the interval of a statistic of `errors` minus that of `other`, two methods on the same objects.

    Both use the same resamples, so what makes an object hard for both cancels out: the difference may be certain
    although the two intervals overlap. Arguments as in `interval`.

    Raises:
        UsageError: as in `interval`, and if the shapes differ.
        DataError: as in `interval`.
    """
    first, second = _by_object(errors), _by_object(other)
    if first.shape != second.shape:
        raise UsageError(f"bootstrap: errors {first.shape} and {second.shape}, expected the same objects in both")
    keep = np.isfinite(first).any(axis=1) & np.isfinite(second).any(axis=1)
    draws = [_resampled(_by_object(values[keep]), statistic, num_boot, seed) for values in (first, second)]
    return _ends(draws[0] - draws[1], level)


def _by_object(errors: ArrayLike) -> NDArray[np.float64]:
    """Return the errors (n, p) of the objects; objects without any answer are rows of NaN."""
    values = np.asarray(errors, dtype=np.float64)
    if not np.isfinite(values).any():
        raise DataError("bootstrap: no errors to draw from; expected at least one object with an answer")
    values = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    return np.where(np.isfinite(values), values, np.nan)


class _Errors(NamedTuple):
    """The known errors (m,) of n objects in ascending order, and the object of each (m,)."""

    values: NDArray[np.float64]
    owners: NDArray[np.intp]
    num_objects: int

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> "_Errors":
        """Return the errors of an array (n, p), without objects that have none: a resample could have these alone."""
        known = np.isfinite(errors)
        owners = (np.cumsum(known.any(axis=1)) - 1).repeat(known.sum(axis=1))
        order = np.argsort(errors[known], kind="stable")
        return cls(errors[known][order], owners[order], int(known.any(axis=1).sum()))

    def mean(self, counts: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the means (b,) of resamples in which the objects occur with these counts (b, n)."""
        totals, sizes = (np.bincount(self.owners, weights, self.num_objects) for weights in (self.values, None))
        return np.asarray(counts @ totals / (counts @ sizes))

    def percentile(self, counts: NDArray[np.int32], percent: float) -> NDArray[np.float64]:
        """Return percentiles (b,) of the resamples, interpolated between neighbours as by `np.percentile`."""
        below = np.cumsum(counts[:, self.owners], axis=1, dtype=np.int32)
        place = (below[:, -1] - 1) * (percent / 100)
        ranks = np.stack([np.floor(place), np.ceil(place)], axis=1).astype(np.int32)
        at = [row.searchsorted(two, side="right") for row, two in zip(below, ranks, strict=True)]
        first, second = self.values[np.array(at)].T
        return np.asarray(first + (second - first) * (place - ranks[:, 0]))


def _resampled(values: NDArray[np.float64], statistic: str, num_boot: int, seed: int) -> NDArray[np.float64]:
    """Return the statistic (num_boot,) of n objects drawn with replacement from errors (n, p)."""
    if statistic not in STATISTICS:
        raise UsageError(f"bootstrap: statistic {statistic!r}, expected one of {', '.join(STATISTICS)}")
    errors, random = _Errors.of(values), np.random.default_rng(seed)
    step = max(1, MAX_NUMBERS // errors.values.size)
    drawn = []
    for start in range(0, num_boot, step):
        counts = _counts(random, min(step, num_boot - start), errors.num_objects)
        is_mean = statistic == "mean"
        drawn.append(errors.mean(counts) if is_mean else errors.percentile(counts, PERCENTILES[statistic]))
    return np.concatenate(drawn)


def _counts(random: np.random.Generator, num_boot: int, num_objects: int) -> NDArray[np.int32]:
    """Return how often each of n objects occurs in each resample (num_boot, n)."""
    chosen = random.integers(num_objects, size=(num_boot, num_objects))
    chosen += num_objects * np.arange(num_boot)[:, None]
    return np.bincount(chosen.ravel(), minlength=chosen.size).reshape(chosen.shape).astype(np.int32)


def _ends(draws: NDArray[np.float64], level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise UsageError(f"bootstrap: level {level:g}, expected a number between 0 and 1")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
