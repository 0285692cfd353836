"""The learning curve: the error over the number of labelled objects, and what more labels promise.

The error of a network falls with the number n of its training objects like a power, e(n) = a n^-b (Hestness et al.
2017, https://arxiv.org/abs/1712.00409). Where the networks or the labels reach their limit it falls less, so a promise
is for at most twice the objects.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_DRAWN = 2000
"""Curves that are drawn for an interval, as many as the resamples of the report's other intervals."""

FARTHEST = 2.0
"""Promises are for at most this multiple of the labelled objects."""

MORE = (20, 50)
"""Numbers of further objects for which the report has a promise."""

Z_95 = 1.96
"""Half the width of a Gaussian's 95 % interval in standard deviations."""


class Point(NamedTuple):
    """The median error of a run, with its 95 % interval, in mm. labelled: its objects for training and validation."""

    labelled: int
    median_mm: float
    low_mm: float
    high_mm: float


class Promise(NamedTuple):
    """The expected median error with `more` labelled objects, with its 95 % interval, in mm."""

    more: int
    median_mm: float
    low_mm: float
    high_mm: float


def curve_report(report: Mapping[str, Any], earlier: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any] | None:
    """Return the learning curve of a run for report.json; None if its first projection has no error.

    Args:
        report: the run's, with `objects` and `lifter`.
        earlier: the points of the run that its training started from, as this function returned them.
    """
    lifter = next(iter(report["lifter"].values()))
    scores, objects = lifter["test"].get(lifter["chosen"], {}), report["objects"]
    ends = scores.get("interval_mm", {}).get("median")
    if not ends:
        return None
    own = Point(objects.get("train", 0) + objects.get("val", 0), scores["error_mm"]["median"], *ends)
    points = [*(Point(**point) for point in earlier), own]
    return {
        "points": [point._asdict() for point in points],
        "promises": [promise._asdict() for promise in promises(points)],
    }


def promises(points: Sequence[Point], more: Sequence[int] = MORE) -> list[Promise]:
    """Return what more labels promise; nothing for fewer than two numbers of labelled objects.

    A power is fitted to the points, each with the weight of its interval; the promise's interval is that of fits to
    points drawn from theirs. The error does not rise with more objects, so b is at least 0.

    Args:
        points: of one learning curve, in any order.
        more: numbers of further objects.
    """
    known = [point for point in points if point.low_mm > 0]
    counts = np.log([point.labelled for point in known])
    if len(set(counts)) < 2:
        return []
    logs = np.log([[point.median_mm, point.low_mm, point.high_mm] for point in known])
    sigmas = np.maximum((logs[:, 2] - logs[:, 1]) / (2 * Z_95), 1e-3)
    random = np.random.default_rng(0)
    drawn = np.vstack([logs[:, 0], logs[:, 0] + random.normal(size=(NUM_DRAWN, len(known))) * sigmas])
    last = max(point.labelled for point in known)
    found = []
    for count in more:
        if last + count <= FARTHEST * last:
            errors = np.exp(_fitted(counts, drawn, sigmas, np.log(last + count)))
            low, high = np.percentile(errors[1:], (2.5, 97.5))
            found.append(Promise(count, float(errors[0]), float(low), float(high)))
    return found


def _fitted(
    counts: NDArray[np.float64], logs: NDArray[np.float64], sigmas: NDArray[np.float64], at: float
) -> NDArray[np.float64]:
    """Return the fitted lines' values at a count, (m,), for logarithms of errors (m, n) over those of counts (n,)."""
    weights = sigmas**-2 / (sigmas**-2).sum()
    middle, means = weights @ counts, logs @ weights
    slopes = (logs - means[:, None]) @ (weights * (counts - middle)) / (weights @ (counts - middle) ** 2)
    return np.asarray(means + np.minimum(slopes, 0) * (at - middle))
