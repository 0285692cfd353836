"""The numbers of report.json: errors of all methods and of both baselines on held-out objects.

Intervals contain, with a probability of 95 %, the statistic of all objects of this kind. They are bootstrapped by
object (featurelib.evaluation.bootstrap).
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation import bootstrap
from featurelib.geometry import Rig
from featurelib.models.lifter.vectors import Vectors

REPORT_SCHEMA = 1
"""Version of report.json; docs/records.md lists its keys."""

BASELINES = ("mean_point", "template")

STATISTICS = ("mean", "median", "p95")

COMPARED = ("mean", "median")
"""Statistics by which methods are compared. Two or three objects decide the 95th percentile of some dozen."""

MAX_DRAWN = 20_000_000
"""Numbers drawn per interval; more than 5,000 objects get fewer draws. This shifts the ends by a few hundredths of the
interval's width, and an interval of half a million objects takes seconds instead of minutes."""

MIN_BOOT = 200

Ends = list[float] | None
"""Lower and upper end of an interval; None, JSON's null, without an answer."""


def summary(errors: NDArray[np.floating]) -> dict[str, float | None]:
    """Return mean, median and 95th percentile of errors of any shape; NaN (no answer) is left out.

    Without any answer all are None, which JSON writes as null: JSON has no NaN.
    """
    known = errors[np.isfinite(errors)]
    if not known.size:
        return {"mean": None, "median": None, "p95": None}
    return {"mean": float(known.mean()), "median": float(np.median(known)), "p95": float(np.percentile(known, 95))}


def intervals(errors: NDArray[np.floating]) -> dict[str, Ends]:
    """Return the 95 % intervals of mean, median and 95th percentile of errors (n, p), one row per object."""
    if not np.isfinite(errors).any():
        return dict.fromkeys(STATISTICS)
    num_boot = _num_boot(errors)
    return {name: list(bootstrap.interval(errors, name, num_boot=num_boot)) for name in STATISTICS}


def worse_by(errors: NDArray[np.floating], other: NDArray[np.floating]) -> dict[str, Ends]:
    """Return the 95 % intervals of mean and median of errors (n, p) minus those of the other errors (n, p).

    Only objects for which both have an answer count. If the whole interval is above zero, `other` is better.
    """
    if not (np.isfinite(errors).any(axis=1) & np.isfinite(other).any(axis=1)).any():
        return dict.fromkeys(COMPARED)
    num_boot = _num_boot(errors)
    return {name: list(bootstrap.difference(errors, other, name, num_boot=num_boot)) for name in COMPARED}


def detector_report(vectors: Vectors, rig: Rig) -> dict[str, Any]:
    """Return the detector's part: error in % of the image width, over all views and by view.

    A view that shows both sides equally (the exact front) is hard for a head with one position, because a symmetric
    object has two right answers there. So the part also has the error without such views.
    """
    errors_pct = 100 * np.linalg.norm(vectors.xy - vectors.xy_true, axis=-1)  # (n, v)
    sided_pct = errors_pct[:, [view.near_side is not None for view in rig.views]]
    return {
        "test": {
            "error_pct_width": summary(errors_pct),
            "interval_pct_width": intervals(errors_pct),
            "error_pct_width_without_front": summary(sided_pct),
            "interval_pct_width_without_front": intervals(sided_pct),
            "by_view": {str(i): summary(errors_pct[:, i])["mean"] for i in range(len(rig))},
            "interval_by_view": {str(i): intervals(errors_pct[:, [i]])["mean"] for i in range(len(rig))},
        },
        "rig": json.loads(rig.to_json()),
    }


def method_errors_mm(
    predictions: Mapping[str, NDArray[np.float64]], vectors: Vectors
) -> dict[str, NDArray[np.float64]]:
    """Return the errors (n, 2) in mm of left and right landmarks by method; NaN without an answer.

    Args:
        predictions: (n, 2, 3) landmarks in mm by method.
        vectors: of the same n objects, in the same order.
    """
    return {
        method: np.linalg.norm(estimates_mm - vectors.landmarks_mm, axis=-1)
        for method, estimates_mm in predictions.items()
    }


def lifter_report(predictions: Mapping[str, NDArray[np.float64]], vectors: Vectors, chosen: str) -> dict[str, Any]:
    """Return the lifter's part: errors in mm over both instances of each object, by method.

    Args:
        predictions: (n, 2, 3) landmarks in mm by method, NaN without an answer.
        vectors: of the same n objects, in the same order.
        chosen: the method chosen on validation objects; all others are compared with it.
    """
    errors_mm = method_errors_mm(predictions, vectors)
    nothing = np.full((len(vectors), 2), np.nan)
    test: dict[str, dict[str, Any]] = {}
    for method, errors in errors_mm.items():
        answered = int(np.isfinite(errors).all(axis=1).sum())
        test[method] = {"error_mm": summary(errors), "interval_mm": intervals(errors), "n": answered}
        if method != chosen:
            test[method]["worse_by_mm"] = worse_by(errors, errors_mm.get(chosen, nothing))
    return {"test": test, "chosen": chosen}


def table(report: Mapping[str, Any]) -> str:
    """Return the report as a text table: the detector's lines and one line per method, by projection."""
    test, train, val = (report["objects"].get(split, 0) for split in ("test", "train", "val"))
    lines = [f"test objects: {test} (training {train}, validation {val})"]
    for projection, detector in report["detector"].items():
        of = detector["test"]
        lines += [
            "",
            f"{projection}, image {report['frame_mm'][projection]:g} mm wide",
            _heading("detector, % of the width"),
            _row("all views", of["error_pct_width"], of["interval_pct_width"]),
            _row(
                "without the exact front",
                of["error_pct_width_without_front"],
                of["interval_pct_width_without_front"],
            ),
            _heading("both landmarks, mm"),
        ]
        lifter = report["lifter"][projection]
        for method, scores in lifter["test"].items():
            mark = " (chosen)" if method == lifter["chosen"] else " (baseline)" if method in BASELINES else ""
            lines.append(_row(method + mark, scores["error_mm"], scores["interval_mm"]))
    return "\n".join(lines)


def _heading(title: str) -> str:
    return f"  {title:28}{'mean':>8}{'median':>8}{'p95':>8}{'mean, 95 %':>18}"


def _row(title: str, scores: Mapping[str, float | None], ends: Mapping[str, Ends]) -> str:
    values = "".join("       -" if scores[name] is None else f"{scores[name]:8.2f}" for name in STATISTICS)
    mean = ends["mean"]
    return f"  {title:28}{values}{'-' if mean is None else f'{mean[0]:.2f} to {mean[1]:.2f}':>18}"


def _num_boot(errors: NDArray[np.floating]) -> int:
    return int(np.clip(MAX_DRAWN // errors.size, MIN_BOOT, bootstrap.NUM_BOOT))
