"""The chosen method's answers on held-out objects.

How often regions contain the landmark, which answers were accepted, and which landmarks were said not to exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation.scatter import scatter_report
from featurelib.evaluation.summaries import is_known, worse_by
from featurelib.geometry import LandmarkSet
from featurelib.models.uncertainty.cross_fit import CrossFittedUncertainty
from featurelib.models.uncertainty.model import UncertaintyModel, held, held_by_landmark

Regions = UncertaintyModel | CrossFittedUncertainty
"""Uncertainty models whose regions are checked."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Answers:
    """A method's answers for n objects with k landmarks, and the labels.

    object_ids: (n,). residuals_mm: (n, k, 3) found minus marked, NaN where not labelled. covariance_mm2: (n, k, 3, 3)
    the method's own, not scaled by the uncertainty model. accepted: (n, k). reasons: (n,) why landmarks of an object
    were rejected; empty if none was. is_present: (n, k) whether the method says that the landmark exists.
    is_absent: (n, k) whether it is labelled as absent.
    """

    object_ids: Sequence[str]
    residuals_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64]
    accepted: Flags
    reasons: Sequence[str]
    is_present: Flags
    is_absent: Flags

    @property
    def errors_mm(self) -> NDArray[np.float64]:
        """(n, k) lengths of the residuals."""
        return np.asarray(np.linalg.norm(self.residuals_mm, axis=-1))

    @property
    def is_labelled(self) -> Flags:
        """(n, k) whether the landmark's position is known."""
        return is_known(self.residuals_mm)


def uncertainty_report(uncertainty: Regions, method: str, answers: Answers) -> dict[str, Any]:
    """Return the value of `uncertainty` for a projection's lifter in report.json.

    Args:
        uncertainty: the model whose regions are checked.
        method: that gave the answers.
        answers: of all objects with a prediction.
    """
    calibration = held(uncertainty.inside(answers.residuals_mm, answers.covariance_mm2))
    shares = dict(calibration)
    reasons = {str(name): reason for name, reason in zip(answers.object_ids, answers.reasons, strict=True) if reason}
    is_accepted = np.asarray(answers.accepted.all(axis=1))
    return {
        "method": method,
        "calibration": [list(pair) for pair in calibration],
        "coverage_68": shares[0.68],
        "coverage_95": shares[0.95],
        "accepted": _group(answers, answers.accepted, is_accepted),
        "rejected": {**_group(answers, ~answers.accepted, ~is_accepted), "reasons": reasons},
    }


def _group(answers: Answers, landmarks: Flags, objects: Flags) -> dict[str, float | int | None]:
    errors_mm = answers.errors_mm[landmarks & answers.is_labelled]
    median_mm = float(np.median(errors_mm)) if errors_mm.size else None
    return {"n": int(objects.sum()), "landmarks": int(landmarks.sum()), "median_mm": median_mm}


def presence_report(answers: Answers) -> dict[str, int] | None:
    """Return how well absent landmarks were told from present ones; None if no label says that one is absent."""
    return _presence(answers.is_present, answers.is_absent, answers.is_labelled) if answers.is_absent.any() else None


def _presence(is_present: Flags, is_absent: Flags, is_labelled: Flags) -> dict[str, int]:
    return {
        "absent_found": int((is_absent & ~is_present).sum()),
        "absent_missed": int((is_absent & is_present).sum()),
        "present_found": int((is_labelled & is_present).sum()),
        "present_missed": int((is_labelled & ~is_present).sum()),
    }


def landmarks_report(uncertainty: Regions, landmarks: LandmarkSet, answers: Answers) -> dict[str, dict[str, Any]]:
    """Return the value of `landmarks` for a projection's lifter in report.json: by name, besides its errors."""
    coverage = held_by_landmark(uncertainty.inside(answers.residuals_mm, answers.covariance_mm2))
    scatters = scatter_report(answers.residuals_mm, landmarks)
    return {
        name: {
            "coverage_68": _number(coverage[0.68][k]),
            "coverage_95": _number(coverage[0.95][k]),
            "rejected": int((~answers.accepted[:, k]).sum()),
            **_presence(*(flags[:, k] for flags in (answers.is_present, answers.is_absent, answers.is_labelled))),
            **scatters[name],
        }
        for name, k in landmarks.index.items()
    }


def pairs_report(errors_mm: NDArray[np.float64], landmarks: LandmarkSet) -> list[Mapping[str, Any]]:
    """Return the value of `pairs` for a projection's lifter in report.json: left minus right mean errors (n, k)."""
    indices = landmarks.slots[: len(landmarks.pairs)]
    return [_pair(*pair, errors_mm[:, two]) for pair, two in zip(landmarks.pairs, indices, strict=True)]


def _pair(left: str, right: str, errors_mm: NDArray[np.float64]) -> dict[str, Any]:
    both = errors_mm[np.isfinite(errors_mm).all(axis=1)]
    return {
        "left": left,
        "right": right,
        "n": len(both),
        "left_minus_right_mm": float((both[:, 0] - both[:, 1]).mean()) if len(both) else None,
        "interval_mm": worse_by(both[:, :1], both[:, 1:])["mean"],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
