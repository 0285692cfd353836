"""The numbers of report.json: errors of all methods and of both baselines on held-out objects."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation.bootstrap import STATISTICS
from featurelib.evaluation.morphometrics import morphometrics
from featurelib.evaluation.summaries import Ends, intervals, is_known, summary, worse_by
from featurelib.geometry import SIDES, Rig
from featurelib.models.lifter.vectors import Vectors

REPORT_SCHEMA = 1
"""Version of report.json; docs/records.md lists its keys."""

TEMPLATE = "template"
"""The baseline that is compared landmark by landmark."""

BASELINES = ("mean_point", TEMPLATE)


class ErrorTable(NamedTuple):
    """The errors of all methods on n objects with k landmarks.

    object_ids: (n,). is_labelled: (n, k). by_method: (n, k) in mm, NaN where not labelled, and without an answer.
    """

    object_ids: Sequence[str]
    is_labelled: NDArray[np.bool_]
    by_method: Mapping[str, NDArray[np.float64]]

    def labelled(self, method: str) -> NDArray[np.float64]:
        """Return the errors (m,) of all labelled landmarks; NaN without an answer."""
        return self.by_method[method][self.is_labelled]


def detector_report(vectors: Vectors, rig: Rig) -> dict[str, Any]:
    """Return the detector's part: error in % of the image width, over all slots and views, and by view.

    A view that shows both sides equally (the exact front) is hard for a head with one position, because a symmetric
    object has two right answers there. So the part also has the error without such views.
    """
    errors_pct = 100 * np.linalg.norm(vectors.xy - vectors.xy_true, axis=-1)  # (n, s, v)
    sided_pct = errors_pct[..., [view.near_side is not None for view in rig.views]]
    return {
        "test": {
            "error_pct_width": summary(errors_pct),
            "interval_pct_width": intervals(errors_pct),
            "error_pct_width_without_front": summary(sided_pct),
            "interval_pct_width_without_front": intervals(sided_pct),
            "by_view": {str(i): summary(errors_pct[..., i])["mean"] for i in range(len(rig))},
            "interval_by_view": {str(i): intervals(errors_pct[..., i], ("mean",))["mean"] for i in range(len(rig))},
        },
        "rig": json.loads(rig.to_json()),
    }


def method_errors_mm(
    predictions: Mapping[str, NDArray[np.float64]], vectors: Vectors
) -> dict[str, NDArray[np.float64]]:
    """Return the errors (n, k) in mm by method; NaN where not labelled, and without an answer.

    Args:
        predictions: (n, k, 3) landmarks in mm by method.
        vectors: of the same n objects, in the same order.
    """
    return {
        method: np.linalg.norm(estimates_mm - vectors.landmarks_mm, axis=-1)
        for method, estimates_mm in predictions.items()
    }


def lifter_report(predictions: Mapping[str, NDArray[np.float64]], vectors: Vectors, chosen: str) -> dict[str, Any]:
    """Return the lifter's part: errors in mm over all labelled landmarks of all objects, by method.

    The chosen method and the template also have the errors of each landmark and of the shapes.

    Args:
        predictions: (n, k, 3) landmarks in mm by method, NaN without an answer.
        vectors: of the same n objects, in the same order.
        chosen: the method chosen on validation objects; all others are compared with it.
    """
    errors_mm = method_errors_mm(predictions, vectors)
    is_labelled = is_known(vectors.landmarks_mm)
    nothing = np.full(is_labelled.shape, np.nan)
    test: dict[str, dict[str, Any]] = {}
    for method, errors in errors_mm.items():
        test[method] = _scores(errors, is_labelled)
        if method != chosen:
            test[method]["worse_by_mm"] = worse_by(errors, errors_mm.get(chosen, nothing))
        if method in (chosen, TEMPLATE):
            test[method]["by_landmark"] = {
                name: _scores(errors[:, [k]], is_labelled[:, [k]]) for name, k in vectors.landmarks.index.items()
            }
            test[method]["morphometrics"] = morphometrics(predictions[method], vectors.landmarks_mm)
    return {"test": test, "chosen": chosen}


def _scores(errors: NDArray[np.floating], is_labelled: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the statistics of errors (n, p); n counts the objects with an answer for all their labels."""
    answered = (np.isfinite(errors) | ~is_labelled).all(axis=1) & is_labelled.any(axis=1)
    return {"error_mm": summary(errors), "interval_mm": intervals(errors), "n": int(answered.sum())}


def table(report: Mapping[str, Any]) -> str:
    """Return the report as a text table: the detector's lines and one line per method, by projection."""
    test, train, val = (report["objects"].get(split, 0) for split in ("test", "train", "val"))
    num_landmarks = len(report["landmarks"])
    of_set = f"; {num_landmarks} landmarks" if num_landmarks != len(SIDES) else ""
    folds = report.get("folds", {"objects": [], "final": False})
    each = f", in {len(folds['objects'])} folds; of each fold" if folds["objects"] else ""
    lines = [f"test objects: {test}{each} (training {train}, validation {val}){of_set}"]
    if folds["final"]:
        lines.append("the run's models are trained on all of them, with error bars from the folds")
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
            _heading(f"{'both' if len(report['landmarks']) == len(SIDES) else 'all'} landmarks, mm"),
        ]
        lifter = report["lifter"][projection]
        for method, scores in lifter["test"].items():
            mark = " (chosen)" if method == lifter["chosen"] else " (baseline)" if method in BASELINES else ""
            lines.append(_row(method + mark, scores["error_mm"], scores["interval_mm"]))
    if repeats := report.get("repeats"):
        lines += ["", _heading(f"{repeats['n']} repeated marks, mm")]
        lines.append(_row("error of a single mark", repeats["floor_mm"], {"mean": None}))
    return "\n".join(lines)


def _heading(title: str) -> str:
    return f"  {title:28}{'mean':>8}{'median':>8}{'p95':>8}{'mean, 95 %':>18}"


def _row(title: str, scores: Mapping[str, float | None], ends: Mapping[str, Ends]) -> str:
    values = "".join("       -" if scores[name] is None else f"{scores[name]:8.2f}" for name in STATISTICS)
    mean = ends["mean"]
    return f"  {title:28}{values}{'-' if mean is None else f'{mean[0]:.2f} to {mean[1]:.2f}':>18}"
