"""Errors as a few numbers with intervals, for report.json.

Intervals contain, with a probability of 95 %, the statistic of all objects of this kind. They are bootstrapped by
object (featurelib.evaluation.bootstrap).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation import bootstrap

COMPARED = ("mean", "median")
"""Statistics by which methods are compared. Two or three objects decide the 95th percentile of some dozen."""

MAX_DRAWN = 20_000_000
"""Numbers drawn per interval; more than 5,000 objects get fewer draws. This shifts the ends by a few hundredths of the
interval's width, and an interval of half a million objects takes seconds instead of minutes."""

MIN_BOOT = 200

Ends = list[float] | None
"""Lower and upper end of an interval; None, JSON's null, without an answer."""


def is_known(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return whether points (..., k, 3) are known (..., k): none of their coordinates is NaN."""
    return np.asarray(np.isfinite(points).all(axis=-1))


def summary(errors: NDArray[np.floating]) -> dict[str, float | None]:
    """Return mean, median and 95th percentile of errors of any shape; NaN (no answer) is left out.

    Without any answer all are None, which JSON writes as null: JSON has no NaN.
    """
    known = errors[np.isfinite(errors)]
    if not known.size:
        return {"mean": None, "median": None, "p95": None}
    return {"mean": float(known.mean()), "median": float(np.median(known)), "p95": float(np.percentile(known, 95))}


def intervals(errors: NDArray[np.floating], statistics: Sequence[str] = bootstrap.STATISTICS) -> dict[str, Ends]:
    """Return the 95 % intervals of statistics of errors (n, ...), one row per object."""
    if not np.isfinite(errors).any():
        return dict.fromkeys(statistics)
    num_boot = _num_boot(errors)
    return {name: list(bootstrap.interval(errors, name, num_boot=num_boot)) for name in statistics}


def worse_by(errors: NDArray[np.floating], other: NDArray[np.floating]) -> dict[str, Ends]:
    """Return the 95 % intervals of mean and median of errors (n, p) minus those of the other errors (n, p).

    Only objects for which both have an answer count. If the whole interval is above zero, `other` is better.
    """
    if not (np.isfinite(errors).any(axis=1) & np.isfinite(other).any(axis=1)).any():
        return dict.fromkeys(COMPARED)
    num_boot = _num_boot(errors)
    return {name: list(bootstrap.difference(errors, other, name, num_boot=num_boot)) for name in COMPARED}


def _num_boot(errors: NDArray[np.floating]) -> int:
    return int(np.clip(MAX_DRAWN // errors.size, MIN_BOOT, bootstrap.NUM_BOOT))
