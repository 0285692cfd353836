"""How large the errors of a run's predictions are expected to be, object by object."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.models.predictions import PredictedObjects

REJECTED = 3.0
"""Errors of landmarks that are not accepted, in units of those with the same standard deviation that are. On 300 heads
that a run had not seen they were 1.13 and 0.38 mm (docs/results.md, Uncertainty)."""


@dataclass(frozen=True, eq=False)
class ExpectedErrors:
    """What a run expects of its predictions for n objects.

    sigma_mm: (n,) root mean square standard deviation of an object's landmarks along one axis, NaN without a
        prediction.
    variance_mm2: (n,) expected squared error along one axis; an object without a prediction has the largest one.
    rejected: (n,) number of landmarks that are not accepted. reasons: (n,) the most frequent reason, empty if all are.
    """

    sigma_mm: NDArray[np.float64]
    variance_mm2: NDArray[np.float64]
    rejected: NDArray[np.intp]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, found: PredictedObjects) -> Self:
        """Return the expected errors of predictions."""
        squares = found.sigma_mm**2
        counted = np.where(found.accepted, squares, REJECTED**2 * squares)
        variance = _means(counted)
        largest = np.nanmax(variance, initial=0.0) or 1.0
        return cls(
            np.sqrt(_means(squares)),
            np.where(np.isnan(variance), largest, variance),
            (~found.accepted).sum(axis=1),
            tuple(_most_frequent(reasons) for reasons in found.reasons.tolist()),
        )

    def take(self, rows: Sequence[int]) -> Self:
        """Return the expected errors of some objects, by their indices."""
        index = np.asarray(rows, dtype=np.intp)
        return type(self)(
            self.sigma_mm[index],
            self.variance_mm2[index],
            self.rejected[index],
            tuple(self.reasons[i] for i in index),
        )


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means (n,) of the finite ones of values (n, k); NaN without any."""
    known = np.isfinite(values)
    totals, counts = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(totals, counts, out=np.full(len(values), np.nan), where=counts > 0)


def _most_frequent(reasons: Sequence[str]) -> str:
    counts = Counter(reason for reason in reasons if reason)
    return max(counts, key=lambda reason: counts[reason]) if counts else ""
