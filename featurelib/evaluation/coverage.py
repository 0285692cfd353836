"""The uncertainty on held-out objects: how often regions contain the landmark, and which predictions were accepted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.models.uncertainty.model import UncertaintyModel


def uncertainty_report(
    uncertainty: UncertaintyModel,
    method: str,
    object_ids: Sequence[str],
    residuals_mm: NDArray[np.float64],
    covariance_mm2: NDArray[np.float64],
    reasons: Sequence[str],
) -> dict[str, Any]:
    """Return the value of `uncertainty` for a projection's lifter in report.json.

    Args:
        uncertainty: the model whose regions are checked.
        method: that made the predictions.
        object_ids: (n,) of the objects with a prediction.
        residuals_mm: (n, 2, 3) predicted minus true.
        covariance_mm2: (n, 2, 3, 3) the predictions' own covariances, not scaled by the uncertainty model.
        reasons: (n,) why a prediction was rejected; empty if accepted.
    """
    held = uncertainty.held(residuals_mm, covariance_mm2)
    shares = dict(held)
    errors_mm = np.linalg.norm(residuals_mm, axis=-1)
    rejected = np.array([bool(reason) for reason in reasons])
    return {
        "method": method,
        "calibration": [list(pair) for pair in held],
        "coverage_68": shares[0.68],
        "coverage_95": shares[0.95],
        "accepted": _group(errors_mm[~rejected]),
        "rejected": {
            **_group(errors_mm[rejected]),
            "reasons": {str(name): reason for name, reason in zip(object_ids, reasons, strict=True) if reason},
        },
    }


def _group(errors_mm: NDArray[np.float64]) -> dict[str, float | int | None]:
    return {"n": len(errors_mm), "median_mm": float(np.median(errors_mm)) if len(errors_mm) else None}
