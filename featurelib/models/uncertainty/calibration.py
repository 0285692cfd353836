"""Error bars that hold on objects not seen before, from the errors on validation objects.

A bound is a split-conformal one (Papadopoulos, Proedrou, Vovk and Gammerman, Inductive Confidence Machines for
Regression, ECML 2002): whatever the errors' distribution, a new object's error is below the k-th smallest of n with a
chance of k / (n + 1), as long as the new object is like the validation objects. That chance is a mean over all sets of
validation objects that might have been drawn. With the one set that a user has, the chance is a Beta(k, n + 1 - k)
variable, of 65 objects 68 % plus or minus 6, so k is the first for which CONFIDENCE of all sets hold what was asked
for (Vovk, Conditional validity of inductive conformal predictors, ACML 2012, proposition 2a). Objects are the unit,
since the instances of one object tend to be wrong together (correlation 0.5 to 0.8): each object has the weight
1 / (n + 1), shared by its instances (Lee, Barber and Willett, Distribution-free inference with hierarchical data,
arXiv:2306.06342). The chance is one over objects; it does not say that a bound holds as often for hard objects as for
easy ones.

The validation objects must have had no part in training, nor in the choice of what is calibrated. Choosing the best
of a handful of methods on them does little harm; choosing of hundreds would.
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
"""Radius, in standard deviations along one axis, of the ball that holds 68 % and 95 % of a 3D Gaussian: 1.87, 2.80."""

AXES = 3

CONFIDENCE = 0.8
"""Share of all sets of validation objects whose bounds hold with the chance asked for, or a larger one. With 0.9 the
95 % bound of 65 objects would be the largest error seen, which a single object decides."""


class Bound(NamedTuple):
    """The value below which a new score lies with the chance asked for.

    exact: whether that holds for any distribution; else there were too few objects, and the value assumes Gaussian
        errors and is at least the largest seen.
    """

    value: float
    exact: bool


def conformal_bound(scores: ArrayLike, level: float) -> Bound:
    """Return the bound below which the score of an instance of a new object lies with the chance `level` or more.

    A bound for 95 % needs 32 objects, one for 68 % five. With fewer it is extrapolated: if errors were Gaussian, the
    squared score over the mean squared score would follow the F distribution with 3 and 3 n degrees of freedom.

    Args:
        scores: (n,) or (n, p), lengths of errors (normalised or not), one row an object; NaN where there is none.
        level: 0 to 1.

    Raises:
        DataError: if there is no score at all.
    """
    values = _rows(scores)
    num_objects = len(values)
    known = np.isfinite(values)
    weights = known / known.sum(axis=1, keepdims=True) / (num_objects + 1)
    order = np.argsort(values[known], kind="stable")
    mass = np.cumsum(weights[known][order])
    below = special.bdtr(np.arange(num_objects + 1), num_objects, level)
    rank = np.searchsorted(below, CONFIDENCE) + 1  # the first k whose Beta variable is sure enough
    reached = np.flatnonzero(mass >= rank / (num_objects + 1) - 1e-12)
    if len(reached):
        return Bound(float(values[known][order][reached[0]]), True)
    mean_square = np.nanmean(np.nanmean(values**2, axis=1))
    gaussian = float(np.sqrt(mean_square * special.fdtri(AXES, AXES * num_objects, level)))
    return Bound(max(gaussian, float(np.nanmax(values))), False)


@dataclass(frozen=True)
class ErrorBars:
    """What may be claimed of a method's error.

    num_objects: validation objects with an answer.
    sigma_mm: root mean square error along one axis; its upper 95 % confidence limit where exact is false.
    radius_68_mm, radius_95_mm: a new landmark's error is smaller with this chance, the same radius for all.
    scale_68, scale_95: factor on the predicted standard deviations that makes their 68 % and 95 % regions hold;
        1 says that the prediction was right. None where nothing was predicted.
    exact: whether all bounds hold for any distribution of errors; false where there were too few objects.
    """

    num_objects: int
    sigma_mm: float
    radius_68_mm: float
    radius_95_mm: float
    scale_68: float | None = None
    scale_95: float | None = None
    exact: bool = True

    @property
    def note(self) -> str:
        """One sentence on how much the figures can be trusted."""
        text = f"from {self.num_objects} validation object{'s' * (self.num_objects != 1)}"
        return text if self.exact else f"{text}, too few to be sure: wide bounds that assume Gaussian errors"

    def sigma_mm_of(self, predicted_sigma_mm: ArrayLike) -> Floats:
        """Return the calibrated standard deviations (...,) along one axis of points with these predicted ones.

        The 68 % region decides, where errors are many; sigma_mm for all, where nothing was predicted.
        """
        predicted = np.asarray(predicted_sigma_mm, dtype=np.float64)
        return np.full_like(predicted, self.sigma_mm) if self.scale_68 is None else predicted * self.scale_68

    def radius_95_mm_of(self, predicted_sigma_mm: ArrayLike) -> Floats:
        """Return the radii (...,) below which the errors of points with these predictions lie in 95 % of all cases.

        That holds where scalars were calibrated; for covariances the ellipsoid of `covariance_95` does.
        """
        predicted = np.asarray(predicted_sigma_mm, dtype=np.float64)
        constant = self.scale_95 is None
        return np.full_like(predicted, self.radius_95_mm) if constant else predicted * (self.scale_95 or 0) * CHI_95

    def covariance_95(self, covariance_mm2: ArrayLike) -> Floats:
        """Return covariances (..., 3, 3) whose 95 % ellipsoids, e^T C^-1 e <= CHI_95^2, hold, if scaled."""
        return np.asarray(covariance_mm2, dtype=np.float64) * (1 if self.scale_95 is None else self.scale_95**2)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the bars that `to_dict` wrote.

        Raises:
            DataError: if the values are not those of error bars.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError(f"error bars: {error}; expected what ErrorBars.to_dict writes") from None


def calibrate(residuals_mm: ArrayLike, predicted: ArrayLike | None = None) -> ErrorBars:
    """Return the error bars of a method.

    Args:
        residuals_mm: (n, 3) or (n, p, 3) found minus true, one row a validation object; NaN where no answer.
        predicted: what the method claimed of each: standard deviations along one axis (n,) or (n, p), or
            covariances (n, 3, 3) or (n, p, 3, 3).

    Raises:
        DataError: if no object has an answer, or a prediction is not positive (definite).
    """
    residuals = np.asarray(residuals_mm, dtype=np.float64)
    residuals = residuals.reshape(len(residuals), -1, AXES) if residuals.size else np.empty((0, 1, AXES))
    lengths = np.linalg.norm(residuals, axis=-1)
    values = _rows(lengths)
    bounds = [conformal_bound(lengths, level) for level in (0.68, 0.95)]
    scales: list[Bound] = []
    if predicted is not None:
        lengths_in_sigmas = normalised(residuals, np.asarray(predicted, dtype=np.float64))
        scales = [conformal_bound(lengths_in_sigmas, level) for level in (0.68, 0.95)]
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


def coverage(residuals_mm: ArrayLike, radius_mm: ArrayLike) -> float:
    """Return the share of errors (..., 3) no longer than radius_mm (...,); those without an answer are left out."""
    lengths = np.linalg.norm(np.asarray(residuals_mm, dtype=np.float64), axis=-1)
    known = np.isfinite(lengths)
    return float((lengths <= radius_mm)[known].mean()) if known.any() else float("nan")


def normalised(residuals: Floats, predicted: Floats) -> Floats:
    """Return the lengths (n, p) of the residuals (n, p, 3) in predicted standard deviations.

    Args:
        residuals: NaN without an answer, which stays NaN.
        predicted: (n, p) standard deviations, or (n, p, 3, 3) covariances.

    Raises:
        DataError: if a prediction is not positive (definite).
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


def _rows(scores: ArrayLike) -> Floats:
    """Return the scores (n, p) of the objects that have any; NaN for the instances without."""
    values = np.asarray(scores, dtype=np.float64)
    values = values.reshape(len(values), -1) if values.size else np.empty((0, 1))
    values = np.where(np.isfinite(values), values, np.nan)
    values = values[~np.isnan(values).all(axis=1)]
    if not len(values):
        raise DataError("calibration: no validation object has an answer; expected at least one")
    return values
