"""Choose the objects whose labels help most: those that lower the expected errors of all objects most.

The errors of two objects correlate the more, the more alike their shapes are. In a Gaussian process with this
correlation, a label lowers the variance of every object's error by a known amount, and the objects are chosen one by
one, each by the sum over all objects (active learning of Cohn: Cohn, Ghahramani and Jordan, Active Learning with
Statistical Models, JAIR 4, 1996; Seo, Wallat, Graepel and Obermayer, Gaussian Process Regression: Active Data Selection
and Test Point Rejection, IJCNN 2000). So the choice is spread over the shapes, it prefers where many objects are, and a
broken scan, which is like no other object, comes late. Farthest points begin with those (docs/results.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LENGTH = 0.5
"""Distance at which the correlation of two objects' errors is 0.61, in units of the median distance of two objects."""

NOISE = 0.2
"""Share of an error's variance that labels of the same shape do not explain."""


@dataclass(frozen=True)
class Choice:
    """A chosen object.

    index: the object. nearest: the most similar labelled or earlier chosen object, None without any, and distance_mm to
    it. alike: number of other unlabelled objects that are more similar to this one than to any labelled or chosen one.
    """

    index: int
    nearest: int | None
    distance_mm: float
    alike: int


def choose(distances_mm: Floats, weights: Floats, is_known: Flags, is_candidate: Flags, count: int) -> list[int]:
    """Return the indices of at most `count` candidates, the one that helps most first.

    Args:
        distances_mm: (n, n) between the shapes of n objects.
        weights: (n,) the variance of each object's error, in any unit; 0 for objects that need no better answer.
        is_known: (n,) whether an object is labelled, and a model may learn from it.
        is_candidate: (n,) whether an object may be chosen.
        count: largest number of objects.
    """
    covariance = without_known(correlations(distances_mm), is_known)
    free, chosen = is_candidate.copy(), list[int]()
    for _ in range(min(count, int(is_candidate.sum()))):
        gains = weights @ covariance**2 / (np.diagonal(covariance) + NOISE)
        best = int(np.where(free, gains, -1.0).argmax())
        chosen.append(best)
        free[best] = False
        covariance -= np.outer(covariance[best], covariance[best]) / (covariance[best, best] + NOISE)
    return chosen


def correlations(distances_mm: Floats) -> Floats:
    """Return the correlations (n, n) of the errors of objects at these distances (n, n): a Gaussian of the distance."""
    apart_mm = distances_mm[np.triu_indices(len(distances_mm), 1)]
    length_mm = LENGTH * float(np.median(apart_mm)) if len(apart_mm) else 0.0
    return np.asarray(np.exp(-((distances_mm / max(length_mm, 1e-9)) ** 2) / 2))


def without_known(covariance: Floats, is_known: Flags) -> Floats:
    """Return the covariance (n, n) of errors that is left when the labels of the known objects (n,) are learnt."""
    rows = covariance[is_known]
    own = rows[:, is_known] + NOISE * np.eye(len(rows))
    return np.asarray(covariance - rows.T @ np.linalg.solve(own, rows))


def described(chosen: list[int], distances_mm: Floats, is_labelled: Flags) -> list[Choice]:
    """Return chosen objects with what is near them; arguments as of `choose`."""
    anchors = [*np.flatnonzero(is_labelled).tolist(), *chosen]
    if not anchors:
        return []
    others = np.setdiff1d(np.flatnonzero(~is_labelled), chosen)
    nearest = distances_mm[others][:, anchors].argmin(axis=1)
    alike = np.bincount(nearest, minlength=len(anchors))
    num_labelled = len(anchors) - len(chosen)
    return [
        Choice(index, *_nearest(distances_mm[index], anchors[: num_labelled + rank]), int(alike[num_labelled + rank]))
        for rank, index in enumerate(chosen)
    ]


def _nearest(distances_mm: Floats, anchors: list[int]) -> tuple[int | None, float]:
    if not anchors:
        return None, float("inf")
    nearest = min(anchors, key=lambda i: distances_mm[i])
    return nearest, float(distances_mm[nearest])
