"""The uncertainty of a prediction: calibrated covariances, and which landmarks are accepted.

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
from featurelib.models.uncertainty.sharing import length_factors, one_channel

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95)
"""Probabilities of the regions that a report checks."""


MOST_NAMED = 3
"""Reasons in a summary."""


class Uncertainty(NamedTuple):
    """The uncertainty of one prediction.

    covariance_mm2: (k, 3, 3) of the landmarks, scaled so that the 68 % ellipsoids hold.
    sigma_mm: (k,) standard deviations along one axis.
    accepted: (k,) whether a landmark's and the object's quality scores are within their limits.
    reasons: (k,) why not; empty if accepted.
    """

    covariance_mm2: NDArray[np.float64]
    sigma_mm: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    reasons: tuple[str, ...]

    @property
    def accepted_all(self) -> bool:
        """Whether all landmarks are accepted."""
        return bool(self.accepted.all())

    def summary(self, names: Sequence[str]) -> str:
        """Return why the object is not accepted as a whole, with the names (k,) of landmarks; empty if it is.

        A reason that all landmarks share is given once.
        """
        by_reason: dict[str, list[str]] = {}
        for name, reason in zip(names, self.reasons, strict=True):
            if reason:
                by_reason.setdefault(reason, []).append(name)
        texts = [
            reason if len(rejected) == len(names) else f"{', '.join(rejected)}: {reason}"
            for reason, rejected in by_reason.items()
        ]
        more = len(texts) - MOST_NAMED
        return "; ".join(texts[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class UncertaintyModel:
    """The uncertainty of a method's predictions.

    bars: the size of their errors. rule: which landmarks to accept.
    scales: by LEVELS, the factor on a prediction's own standard deviations that makes a region of this probability.
    factors: (k,) a further factor for each landmark, from its own validation errors; around 1.
    """

    bars: ErrorBars
    rule: AcceptRule
    scales: tuple[float, ...]
    factors: tuple[float, ...]

    def of(self, covariance_mm2: ArrayLike, quality_scores: QualityScores) -> Uncertainty:
        """Return the uncertainty of a prediction from its own covariances (k, 3, 3) and its quality scores."""
        squared = ((self.bars.scale_68 or 1.0) * np.array(self.factors)) ** 2
        covariance = np.asarray(covariance_mm2, dtype=np.float64) * squared[:, None, None]
        sigma_mm = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 3)
        reasons = self.rule.reasons(quality_scores, len(covariance))
        return Uncertainty(covariance, sigma_mm, np.array([not reason for reason in reasons]), reasons)

    def inside(self, residuals_mm: ArrayLike, covariance_mm2: ArrayLike) -> NDArray[np.float64]:
        """Return for each of LEVELS whether errors are inside their regions (levels, n, k): 1, 0, or NaN if not known.

        Args:
            residuals_mm: (n, k, 3) predicted minus true.
            covariance_mm2: (n, k, 3, 3) the predictions' own covariances, not yet scaled.
        """
        lengths = normalised(np.asarray(residuals_mm, np.float64), np.asarray(covariance_mm2, np.float64))
        in_sigmas = lengths / self.factors
        radii = np.array([scale * _radius(level) for level, scale in zip(LEVELS, self.scales, strict=True)])
        return np.where(np.isfinite(in_sigmas), in_sigmas <= radii[:, None, None], np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        numbers = {"scales": list(self.scales), "factors": list(self.factors)}
        return {"bars": self.bars.to_dict(), "rule": self.rule.to_dict(), **numbers}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the model that `to_dict` wrote."""
        bars, rule = ErrorBars.from_dict(values["bars"]), AcceptRule.from_dict(values["rule"])
        scales, factors = (tuple(float(value) for value in values[name]) for name in ("scales", "factors"))
        return cls(bars, rule, scales, factors)


def held(inside: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return for each of LEVELS the share of errors inside their regions, from `UncertaintyModel.inside`."""
    return [(level, float(np.nanmean(of_level))) for level, of_level in zip(LEVELS, inside, strict=True)]


def held_by_landmark(inside: NDArray[np.float64]) -> dict[float, NDArray[np.float64]]:
    """Return by LEVELS the shares (k,) of each landmark's errors inside their regions; NaN for one without errors."""
    count = np.isfinite(inside).sum(axis=1)
    shares = np.divide(np.nansum(inside, axis=1), count, out=np.full(count.shape, np.nan), where=count > 0)
    return dict(zip(LEVELS, shares, strict=True))


def fit_uncertainty(
    residuals_mm: ArrayLike,
    covariance_mm2: ArrayLike,
    quality_scores: Sequence[QualityScores],
    channel: ArrayLike | None = None,
) -> UncertaintyModel:
    """Return the uncertainty model fitted on predictions for n objects that the method was not trained on.

    The scales are those of all landmarks together. Each channel has a factor from its own errors; the scales are fitted
    with factors that leave out the object to which they are applied.

    Args:
        residuals_mm: (n, k, 3) predicted minus true; NaN without an answer or a label. Such landmarks do not count.
        covariance_mm2: (n, k, 3, 3) the predictions' own covariances.
        quality_scores: (n,) per prediction, all with the same names.
        channel: (k,) of `geometry.canonical`; default: one for all landmarks.

    Raises:
        DataError: if there is no answer, or scores are missing for more landmarks than may be rejected.
    """
    residuals, covariances = np.asarray(residuals_mm, np.float64), np.asarray(covariance_mm2, np.float64)
    channels = one_channel(channel, residuals.shape[1])
    independent = int(channels.max()) + 1
    lengths = normalised(residuals, covariances)
    factors, of_others = length_factors(lengths, channels)
    scales = tuple(conformal_bound(lengths / of_others, level, independent).value / _radius(level) for level in LEVELS)
    bars = calibrate(residuals, covariances * of_others[..., None, None] ** 2, independent)
    scores = {name: np.array([of_one[name] for of_one in quality_scores]) for name in quality_scores[0]}
    rule = fit_accept_rule(scores, SCORE_TEXTS, channel=channels, known=np.isfinite(lengths))
    return UncertaintyModel(bars, rule, scales, tuple(factors.tolist()))


def _radius(level: float) -> float:
    """Return the radius of the ball that contains a share of a 3D Gaussian, in standard deviations along one axis."""
    return float(np.sqrt(2 * special.gammaincinv(1.5, level)))
