"""How large an error is to be expected, judged by scores that need no labels: an error model learned on validation.

It is kept as plain as it can be, since there are tens of validation objects and not thousands: scores become ranks,
the mean rank is the one number that counts, and the mean squared error of a few bins along it, made to rise, is the
model. What it predicts is to be calibrated like any other claim (calibration.calibrate), on predictions for objects
that it did not learn from: `cross_fitted` makes them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from featurelib.errors import DataError

Floats = NDArray[np.float64]

POINTS_PER_BIN = 20
"""A mean square of 20 errors is known to within a fifth; bins smaller than that follow the chance."""

MAX_BINS = 6

FOLDS = 5


@dataclass(frozen=True)
class ErrorModel:
    """Standard deviations to expect, by score.

    seen: by score, its sorted values on validation objects; a new value's rank is the share of them below it.
    mean_ranks: (b,) rising, the bins' centres. sigma_mm: (b,) never falling, root mean square error along one axis.
    """

    seen: Mapping[str, tuple[float, ...]]
    mean_ranks: tuple[float, ...]
    sigma_mm: tuple[float, ...]

    def __call__(self, scores: Mapping[str, ArrayLike]) -> Floats:
        """Return the standard deviations (...,) to expect at scores (...,) by name.

        A score that is no number counts as the worst; beyond the outer bins the model stays constant.

        Raises:
            DataError: if a score of the model is missing.
        """
        ranks = _mean_rank(self.seen, scores)
        return np.asarray(np.sqrt(np.interp(ranks, self.mean_ranks, np.square(self.sigma_mm))))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the model that `to_dict` wrote."""
        seen = {name: tuple(numbers) for name, numbers in values["seen"].items()}
        return cls(seen, tuple(values["mean_ranks"]), tuple(values["sigma_mm"]))


def fit_error_model(residuals_mm: ArrayLike, scores: Mapping[str, ArrayLike]) -> ErrorModel:
    """Return the error model of validation objects.

    With fewer than 2 POINTS_PER_BIN errors there is one bin, and the model predicts their root mean square for all.

    Args:
        residuals_mm: (n, 3) or (n, p, 3) found minus true; NaN where no answer.
        scores: by name (n,) or (n, p), larger where worse.

    Raises:
        DataError: if there is no error at all.
    """
    lengths = np.linalg.norm(np.asarray(residuals_mm, dtype=np.float64), axis=-1)
    known = np.isfinite(lengths)
    if not known.any():
        raise DataError("error model: no validation object has an answer; expected at least one")
    given = {name: np.asarray(values, dtype=np.float64)[known] for name, values in scores.items()}
    seen = {name: tuple(np.sort(values[np.isfinite(values)]).tolist()) for name, values in given.items()}
    ranks = _mean_rank(seen, given) if seen else np.zeros(int(known.sum()))
    variances = lengths[known] ** 2 / 3
    order = np.argsort(ranks, kind="stable")
    num_bins = int(np.clip(len(order) // POINTS_PER_BIN, 1, MAX_BINS))
    bins = np.array_split(order, num_bins)
    rising = optimize.isotonic_regression([variances[b].mean() for b in bins], weights=[len(b) for b in bins]).x
    return ErrorModel(seen, tuple(float(ranks[b].mean()) for b in bins), tuple(np.sqrt(rising).tolist()))


def cross_fitted(residuals_mm: ArrayLike, scores: Mapping[str, ArrayLike], *, seed: int = 0) -> Floats:
    """Return the standard deviations (n,) or (n, p) that models learned on the other objects expect of each object.

    The objects are dealt into FOLDS by chance, all instances of an object into the same. One object alone is its own
    teacher. Arguments as in fit_error_model.
    """
    residuals = np.asarray(residuals_mm, dtype=np.float64)
    given = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    folds = np.random.default_rng(seed).permutation(len(residuals)) % FOLDS
    expected = np.empty(residuals.shape[:-1])
    for fold in np.unique(folds):
        held = folds == fold
        learn = ~held if np.isfinite(residuals[~held]).any() else held
        model = fit_error_model(residuals[learn], {name: values[learn] for name, values in given.items()})
        expected[held] = model({name: values[held] for name, values in given.items()}) if given else model.sigma_mm[0]
    return expected


def rank_correlation(scores: ArrayLike, errors: ArrayLike) -> float:
    """Return Spearman's rank correlation of scores and errors of the same shape; pairs without a number do not count.

    0 says that the score tells nothing, 1 that it puts the errors in order. It is 0 too where either is constant or
    fewer than three pairs are left.
    """
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in (scores, errors))
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def _mean_rank(seen: Mapping[str, tuple[float, ...]], scores: Mapping[str, ArrayLike]) -> Floats:
    """Return the mean over scores of the share of seen values below each (half of those equal to it)."""
    ranks = []
    for name, values in seen.items():
        if name not in scores:
            raise DataError(f"error model: score {name!r} is missing; given: {', '.join(scores) or 'none'}")
        new = np.asarray(scores[name], dtype=np.float64)
        below, up_to = (np.searchsorted(values, new, side=side) for side in ("left", "right"))
        ranks.append(np.where(np.isfinite(new), (below + up_to) / 2 / max(len(values), 1), 1.0))
    return np.asarray(np.mean(ranks, axis=0))
