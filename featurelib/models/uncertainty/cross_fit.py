"""Cross-fitted uncertainty of predictions in folds: each fold's regions come from the errors of the other folds.

Regions fitted on all errors would hold the same errors too often. Those of the other folds are as good as the ones of a
final model, which is fitted on all folds, up to the share of objects that they lack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.models.uncertainty.model import LEVELS, UncertaintyModel, fit_uncertainty
from featurelib.models.uncertainty.quality import QualityScores


@dataclass(frozen=True, eq=False)
class CrossFittedUncertainty:
    """The uncertainty models of n predictions.

    models: by fold. folds: (n,) of the predictions.
    """

    models: Mapping[int, UncertaintyModel]
    folds: NDArray[np.intp]

    @classmethod
    def fit(
        cls,
        residuals_mm: NDArray[np.float64],
        covariance_mm2: NDArray[np.float64],
        quality_scores: Sequence[QualityScores],
        folds: NDArray[np.intp],
        channel: ArrayLike | None = None,
    ) -> Self:
        """Return a model for each fold, fitted on the predictions of the other folds.

        Args:
            residuals_mm: (n, k, 3) as of fit_uncertainty, as are the others.
            covariance_mm2: (n, k, 3, 3).
            quality_scores: (n,).
            folds: (n,) of at least two different ones.
            channel: (k,).

        Raises:
            DataError: as of fit_uncertainty.
        """

        def fitted(others: NDArray[np.intp]) -> UncertaintyModel:
            scores = [quality_scores[i] for i in others]
            return fit_uncertainty(residuals_mm[others], covariance_mm2[others], scores, channel)

        models = {int(fold): fitted(np.flatnonzero(folds != fold)) for fold in np.unique(folds)}
        return cls(models, folds)

    def of(self, i: int) -> UncertaintyModel:
        """Return the model of prediction i."""
        return self.models[int(self.folds[i])]

    def inside(self, residuals_mm: ArrayLike, covariance_mm2: ArrayLike) -> NDArray[np.float64]:
        """Return whether errors are inside their regions, as `UncertaintyModel.inside` does."""
        residuals, covariances = np.asarray(residuals_mm, np.float64), np.asarray(covariance_mm2, np.float64)
        found = np.full((len(LEVELS), *residuals.shape[:2]), np.nan)
        for fold, model in self.models.items():
            chosen = self.folds == fold
            found[:, chosen] = model.inside(residuals[chosen], covariances[chosen])
        return found
