"""The numbers of report.json: errors on held-out objects, every method beside both baselines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import Rig
from featurelib.lifter.vectors import Vectors

BASELINES = ("mean_point", "template")


def summary(errors: NDArray[np.floating]) -> dict[str, float | None]:
    """Return mean, median and 95th percentile of errors of any shape; NaN (no answer) counts as missing.

    All are None, which is JSON's null, where there is no answer at all: JSON has no NaN.
    """
    known = errors[np.isfinite(errors)]
    if not known.size:
        return {"mean": None, "median": None, "p95": None}
    return {"mean": float(known.mean()), "median": float(np.median(known)), "p95": float(np.percentile(known, 95))}


def detector_report(vectors: Vectors, rig: Rig) -> dict[str, Any]:
    """Return the detector's part: error in % of the image's width, over all views and by view.

    A view that sees both sides alike (the exact front) is hard for a head that gives one position, since a
    symmetric object has two right answers there; the error without such views stands beside the whole.
    """
    errors_pct = 100 * np.linalg.norm(vectors.xy - vectors.xy_true, axis=-1)  # (n, v)
    sided = [view.near_side is not None for view in rig.views]
    return {
        "test": {
            "error_pct_width": summary(errors_pct),
            "error_pct_width_without_front": summary(errors_pct[:, sided]),
            "by_view": {str(i): summary(errors_pct[:, i])["mean"] for i in range(len(rig))},
        },
    }


def lifter_report(predictions: Mapping[str, NDArray[np.float64]], vectors: Vectors, chosen: str) -> dict[str, Any]:
    """Return the lifter's part: error in mm over both instances of every object, by method.

    Args:
        predictions: (n, 2, 3) landmarks in mm by method, NaN where a method has no answer.
        vectors: of the same n objects.
        chosen: the method chosen on validation objects.
    """
    test = {}
    for method, pairs_mm in predictions.items():
        errors_mm = np.linalg.norm(pairs_mm - vectors.pair_mm, axis=-1)  # (n, 2)
        test[method] = {"error_mm": summary(errors_mm), "n": int(np.isfinite(errors_mm).all(axis=1).sum())}
    return {"test": test, "chosen": chosen}


def table(report: Mapping[str, Any]) -> str:
    """Return the report as a table in text: the detector's line and one line a method, by projection."""
    test, train, val = (report["objects"].get(split, 0) for split in ("test", "train", "val"))
    lines = [f"test objects: {test} (training {train}, validation {val})"]
    for projection, detector in report["detector"].items():
        all_views, sided = (detector["test"][k] for k in ("error_pct_width", "error_pct_width_without_front"))
        lines += [
            "",
            f"{projection}, image {report['frame_mm'][projection]:g} mm wide",
            f"  {'detector, % of the width':28}{'mean':>8}{'median':>8}{'p95':>8}",
            f"  {'all views':28}{_row(all_views)}",
            f"  {'without the exact front':28}{_row(sided)}",
            f"  {'both landmarks, mm':28}{'mean':>8}{'median':>8}{'p95':>8}",
        ]
        lifter = report["lifter"][projection]
        for method, scores in lifter["test"].items():
            mark = " (chosen)" if method == lifter["chosen"] else " (baseline)" if method in BASELINES else ""
            lines.append(f"  {method + mark:28}{_row(scores['error_mm'])}")
    return "\n".join(lines)


def _row(scores: Mapping[str, float | None]) -> str:
    values = (scores[name] for name in ("mean", "median", "p95"))
    return "".join(f"{'-':>8}" if value is None else f"{value:8.2f}" for value in values)
