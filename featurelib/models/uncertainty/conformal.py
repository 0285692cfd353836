"""Error bars that hold on unseen objects, from the errors on validation objects.

A bound is split-conformal (Papadopoulos, Proedrou, Vovk and Gammerman, Inductive Confidence Machines for Regression,
ECML 2002): for any distribution of errors, a new object's error is below the k-th smallest of n with probability
k / (n + 1), if the new object is like the validation objects. This probability is an average over all possible sets of
validation objects. For one given set the probability is a Beta(k, n + 1 - k) variable: with 65 objects, 68 % plus or
minus 6. So k is the smallest rank at which a share CONFIDENCE of all sets reach the requested level (Vovk, Conditional
validity of inductive conformal predictors, ACML 2012, proposition 2a).

The unit is the object, because the errors of a pair's landmarks are correlated (0.5 to 0.8). Each object has the
weight 1 / (n + 1), shared by its landmarks (Lee, Barber and Willett, Distribution-free inference with hierarchical
data, arXiv:2306.06342). The probability is one over objects: bounds may hold less often for hard objects than for easy
ones. The many landmarks of a set are less alike than a pair: how much the objects' mean ranks differ tells how many
independent objects they are worth. So the bounds of a set depend on an estimate, and those of a pair do not.

The validation objects must have had no part in training, nor in the choice of what is calibrated. Choosing the best of
a handful of methods on them does little harm; choosing among hundreds would.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from featurelib.errors import DataError

Floats = NDArray[np.float64]

CHI_68, CHI_95 = (float(value) for value in np.sqrt(2 * special.gammaincinv(1.5, [0.68, 0.95])))
"""Radii of the balls that contain 68 % and 95 % of a 3D Gaussian, in standard deviations along one axis: 1.87, 2.80."""

AXES = 3

RANK_VARIANCE = 1 / 12
"""Variance of one score's rank, a number that is uniform from 0 to 1."""

CONFIDENCE = 0.8
"""Share of all sets of validation objects whose bounds reach the requested level. With 0.9 the 95 % bound of 65 objects
would be the largest error seen, which a single object decides."""


class Bound(NamedTuple):
    """An upper bound of a new score, at a requested level.

    exact: whether it holds for any distribution. If not, there were too few objects: the value assumes Gaussian errors,
        and is at least the largest score seen.
    """

    value: float
    exact: bool


def conformal_bound(scores: ArrayLike, level: float, independent: int = 1) -> Bound:
    """Return a bound: the score of a landmark of a new object is below it with probability `level` or more.

    A bound for 95 % needs 32 objects, one for 68 % needs five. With fewer objects it is extrapolated: for Gaussian
    errors, the squared score over the mean squared score follows the F distribution with 3 and 3 n degrees of freedom.

    Args:
        scores: (n,) or (n, p), lengths of errors (normalised or not), one row per object; NaN where there is none.
        level: 0 to 1.
        independent: the most scores of an object that may count as independent: 1 for a pair, whose two are alike.

    Raises:
        DataError: if there is no score at all.
    """
    values = _rows(scores)
    known = np.isfinite(values)
    shares = known / known.sum(axis=1, keepdims=True) / len(values)
    order = np.argsort(values[known], kind="stable")
    mass = np.cumsum(shares[known][order])
    num_objects = _worth(values, independent)
    below = special.bdtr(np.arange(num_objects + 1), num_objects, level)
    rank = np.searchsorted(below, CONFIDENCE) + 1  # smallest k: P(Beta(k, n + 1 - k) >= level) >= CONFIDENCE
    reached = np.flatnonzero(mass * num_objects >= rank - 1e-9)
    if len(reached):
        return Bound(float(values[known][order][reached[0]]), True)
    mean_square = np.nanmean(np.nanmean(values**2, axis=1))
    gaussian = float(np.sqrt(mean_square * special.fdtri(AXES, AXES * num_objects, level)))
    return Bound(max(gaussian, float(np.nanmax(values))), False)


@dataclass(frozen=True)
class ErrorBars:
    """The size of a method's errors.

    num_objects: validation objects with an answer.
    sigma_mm: root mean square error along one axis; its upper 95 % confidence limit if `exact` is False.
    radius_68_mm, radius_95_mm: a new landmark's error is smaller with this probability; the same for all landmarks.
    scale_68, scale_95: factors on the predicted standard deviations that make their 68 % and 95 % regions hold;
        1 for an exact prediction, None without predictions.
    exact: whether all bounds hold for any distribution of errors; False if there were too few objects.
    """

    num_objects: int
    sigma_mm: float
    radius_68_mm: float
    radius_95_mm: float
    scale_68: float | None = None
    scale_95: float | None = None
    exact: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the bars that `to_dict` wrote.

        Raises:
            DataError: if `to_dict` cannot have written the values.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError(f"error bars: unreadable ({error}); train the run's models again") from None


def calibrate(residuals_mm: ArrayLike, predicted: ArrayLike | None = None, independent: int = 1) -> ErrorBars:
    """Return the error bars of a method.

    Args:
        residuals_mm: (n, 3) or (n, p, 3) predicted minus true, one row per validation object; NaN without an answer.
        predicted: the method's own standard deviations along one axis, (n,) or (n, p), or its own covariances,
            (n, 3, 3) or (n, p, 3, 3).
        independent: as in `conformal_bound`.

    Raises:
        DataError: if no object has an answer, or a predicted deviation or covariance is not positive (definite).
    """
    residuals = np.asarray(residuals_mm, dtype=np.float64)
    residuals = residuals.reshape(len(residuals), -1, AXES) if residuals.size else np.empty((0, 1, AXES))
    lengths = np.linalg.norm(residuals, axis=-1)
    values = _rows(lengths)
    bounds = [conformal_bound(lengths, level, independent) for level in (0.68, 0.95)]
    scales: list[Bound] = []
    if predicted is not None:
        lengths_in_sigmas = normalised(residuals, np.asarray(predicted, dtype=np.float64))
        scales = [conformal_bound(lengths_in_sigmas, level, independent) for level in (0.68, 0.95)]
    exact = all(bound.exact for bound in (*bounds, *scales))
    freedom = AXES * len(values)
    widening = 1.0 if exact else freedom / (2 * special.gammaincinv(freedom / 2, 0.05))
    return ErrorBars(
        len(values),
        float(np.sqrt(np.nanmean(np.nanmean(values**2, axis=1)) / AXES * widening)),
        bounds[0].value,
        bounds[1].value,
        scales[0].value / CHI_68 if scales else None,
        scales[1].value / CHI_95 if scales else None,
        exact,
    )


def normalised(residuals: Floats, predicted: Floats) -> Floats:
    """Return the lengths (n, p) of the residuals (n, p, 3) in predicted standard deviations; NaN stays NaN.

    Args:
        residuals: predicted minus true.
        predicted: (n, p) standard deviations, or (n, p, 3, 3) covariances.

    Raises:
        DataError: if a predicted deviation or covariance is not positive (definite).
    """
    shape = residuals.shape[:2]
    lengths = np.linalg.norm(residuals, axis=-1)
    known = np.isfinite(lengths)
    if predicted.size == lengths.size:
        sigmas = predicted.reshape(shape)
        if not (sigmas[known] > 0).all():
            raise DataError("calibration: a predicted sigma is not positive; expected a positive one for each answer")
        return np.divide(lengths, sigmas, out=np.full(shape, np.nan), where=known)
    covariances = predicted.reshape(*shape, AXES, AXES)[known]
    if not (np.linalg.eigvalsh(covariances)[..., 0] > 0).all():
        raise DataError("calibration: a predicted covariance is not positive definite; expected one for each answer")
    in_sigmas = np.full(shape, np.nan)
    solved = np.linalg.solve(covariances, residuals[known][..., None])[..., 0]
    in_sigmas[known] = np.sqrt((residuals[known] * solved).sum(axis=-1))
    return in_sigmas


def _worth(values: Floats, independent: int) -> int:
    """Return how many independent objects the n objects of scores (n, p) are worth: n to n times `independent`.

    The mean of an object's scores, as ranks from 0 to 1, varies from object to object. The mean of independent scores
    varies less, and that of equal ones as much as a single score.
    """
    num_objects = len(values)
    if independent == 1 or num_objects == 1:
        return num_objects
    known = np.isfinite(values)
    ranks = np.full(values.shape, np.nan)
    ranks[known] = (np.argsort(np.argsort(values[known])) + 0.5) / known.sum()
    freedom = num_objects - 1
    variance = max(float(np.nanmean(ranks, axis=1).var(ddof=1)), RANK_VARIANCE / independent)
    variance *= freedom / (2 * special.gammaincinv(freedom / 2, 0.5))  # the estimate's median is the true variance
    return int(np.clip(num_objects * RANK_VARIANCE / variance, num_objects, num_objects * independent))


def _rows(scores: ArrayLike) -> Floats:
    """Return the scores (n, p) of the objects with at least one; NaN for landmarks without a score."""
    values = np.asarray(scores, dtype=np.float64)
    values = values.reshape(len(values), -1) if values.size else np.empty((0, 1))
    values = np.where(np.isfinite(values), values, np.nan)
    values = values[~np.isnan(values).all(axis=1)]
    if not len(values):
        raise DataError("calibration: no validation object has an answer; expected at least one")
    return values
