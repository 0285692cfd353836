"""The uncertainty of a prediction: its calibrated covariance, and whether it is accepted.

Both are fitted on predictions for validation objects. Networks and parameters that predict them must not have been
trained or tuned on those objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from featurelib.models.uncertainty.acceptance import AcceptRule, fit_accept_rule
from featurelib.models.uncertainty.conformal import ErrorBars, calibrate, conformal_bound, normalised
from featurelib.models.uncertainty.quality import SCORE_TEXTS, QualityScores

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95)
"""Probabilities of the regions that a report checks."""


class Uncertainty(NamedTuple):
    """The uncertainty of one prediction.

    covariance_mm2: (2, 3, 3) of left and right, scaled so that the 68 % ellipsoids hold.
    sigma_mm: (2,) standard deviations along one axis.
    accepted: whether the quality scores are within their limits. reason: why not; empty if accepted.
    """

    covariance_mm2: NDArray[np.float64]
    sigma_mm: NDArray[np.float64]
    accepted: bool
    reason: str


@dataclass(frozen=True)
class UncertaintyModel:
    """The uncertainty of a method's predictions.

    bars: the size of their errors. rule: which predictions to accept.
    scales: by LEVELS, the factor on a prediction's own standard deviations that makes a region of this probability.
    """

    bars: ErrorBars
    rule: AcceptRule
    scales: tuple[float, ...]

    def of(self, covariance_mm2: ArrayLike, quality_scores: QualityScores) -> Uncertainty:
        """Return the uncertainty of a prediction from its own covariances (2, 3, 3) and its quality scores."""
        covariance = np.asarray(covariance_mm2, dtype=np.float64) * (self.bars.scale_68 or 1.0) ** 2
        sigma_mm = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 3)
        reason = self.rule.reason(quality_scores)
        return Uncertainty(covariance, sigma_mm, not reason, reason)

    def held(self, residuals_mm: ArrayLike, covariance_mm2: ArrayLike) -> list[tuple[float, float]]:
        """Return for each of LEVELS the share of errors inside their regions; NaN errors do not count.

        Args:
            residuals_mm: (n, 2, 3) predicted minus true.
            covariance_mm2: (n, 2, 3, 3) the predictions' own covariances, not yet scaled.
        """
        lengths = normalised(np.asarray(residuals_mm, np.float64), np.asarray(covariance_mm2, np.float64))
        known = lengths[np.isfinite(lengths)]
        radii = [scale * _radius(level) for level, scale in zip(LEVELS, self.scales, strict=True)]
        return [(level, float((known <= radius).mean())) for level, radius in zip(LEVELS, radii, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"bars": self.bars.to_dict(), "rule": self.rule.to_dict(), "scales": list(self.scales)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the model that `to_dict` wrote."""
        bars, rule = ErrorBars.from_dict(values["bars"]), AcceptRule.from_dict(values["rule"])
        return cls(bars, rule, tuple(float(scale) for scale in values["scales"]))


def fit_uncertainty(
    residuals_mm: ArrayLike, covariance_mm2: ArrayLike, quality_scores: Sequence[QualityScores]
) -> UncertaintyModel:
    """Return the uncertainty model fitted on predictions for n objects that the method was not trained on.

    Args:
        residuals_mm: (n, 2, 3) predicted minus true; NaN without an answer.
        covariance_mm2: (n, 2, 3, 3) the predictions' own covariances.
        quality_scores: (n,) per prediction, all with the same names.

    Raises:
        DataError: if there is no answer, or scores are missing for more objects than may be rejected.
    """
    residuals, covariances = np.asarray(residuals_mm, np.float64), np.asarray(covariance_mm2, np.float64)
    lengths = normalised(residuals, covariances)
    scales = tuple(conformal_bound(lengths, level).value / _radius(level) for level in LEVELS)
    scores = {name: np.array([of_one[name] for of_one in quality_scores]) for name in quality_scores[0]}
    return UncertaintyModel(calibrate(residuals, covariances), fit_accept_rule(scores, SCORE_TEXTS), scales)


def _radius(level: float) -> float:
    """Return the radius of the ball that contains a share of a 3D Gaussian, in standard deviations along one axis."""
    return float(np.sqrt(2 * special.gammaincinv(1.5, level)))
