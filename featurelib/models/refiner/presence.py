"""Whether landmarks exist: the networks' mean logits as probabilities, by a logistic fit to validation objects."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

PRIOR = 1.0
"""Precision of the slope around 1 and of the offset around 0; without it, separable logits would give an infinite
slope."""

STEPS = 50


class Presence(NamedTuple):
    """The probability that a landmark exists is the logistic function of slope * logit + offset."""

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def fit(cls, logits: NDArray[np.float64], present: NDArray[np.bool_]) -> Self:
        """Return the fit to logits (n,), of which those that are not finite are left out, by Newton's method."""
        known = np.isfinite(logits)
        columns = np.stack([logits[known], np.ones(int(known.sum()))], axis=1)
        truths, prior = present[known].astype(float), np.array([1.0, 0.0])
        numbers = prior.copy()
        for _ in range(STEPS):
            chances = _logistic(columns @ numbers)
            gradient = columns.T @ (chances - truths) + PRIOR * (numbers - prior)
            curvature = (columns * (chances * (1 - chances))[:, None]).T @ columns + PRIOR * np.eye(2)
            numbers = numbers - np.linalg.solve(curvature, gradient)
        return cls(float(numbers[0]), float(numbers[1]))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `_asdict` wrote."""
        return cls(float(values["slope"]), float(values["offset"]))

    def probability(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities (...) of logits (...); NaN stays NaN."""
        return _logistic(self.slope * logits + self.offset)


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))
