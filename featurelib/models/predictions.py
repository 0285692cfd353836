"""What a predictor takes and returns; predictions in the dataset's frame and unit, as a table and for Slicer."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib.datasets.csv_table import write_rows
from featurelib.datasets.landmark_files.formats import labelled
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.slicer import markups
from featurelib.datasets.landmark_table import COORDINATES
from featurelib.geometry import SIDES, apply
from featurelib.models.uncertainty.model import Uncertainty
from featurelib.models.uncertainty.quality import QualityScores

REFINED = "refined"
"""The method that refines a first estimate on crops."""

PREDICTIONS = pa.schema(
    [
        ("object_id", pa.string()),
        *((name, pa.float64()) for name in COORDINATES),
        ("left_sigma_mm", pa.float64()),
        ("right_sigma_mm", pa.float64()),
        ("accepted", pa.bool_()),
        ("reason", pa.string()),
    ]
)
"""One row per object. Coordinates are in the source frame and unit; standard deviations, along one axis, are in mm.
Both are null for an object without a prediction; its reason begins with the stage that failed. The reason of an
accepted prediction is empty."""


class Detection(NamedTuple):
    """The detector's result in v views: landmarks_xy (v, 2, 2) of left and right, and visible (v, 2), 0 to 1."""

    landmarks_xy: NDArray[np.floating]
    visible: NDArray[np.floating]


class Prediction(NamedTuple):
    """One object's landmarks, left and right, in the object frame.

    estimates_mm: (2, 3) by method: `template`, the lifter's chosen one and, if there is a refiner, `refined`.
    method: the one selected on validation objects. covariance_mm2: (2, 3, 3) that method's own, not calibrated.
    quality_scores: of that method's pair. uncertainty: calibrated, and whether the pair is accepted.
    """

    estimates_mm: Mapping[str, NDArray[np.float64]]
    method: str
    covariance_mm2: NDArray[np.float64]
    quality_scores: QualityScores
    uncertainty: Uncertainty

    @property
    def landmarks_mm(self) -> NDArray[np.float64]:
        """(2, 3) the landmarks by the selected method."""
        return self.estimates_mm[self.method]


def prediction_row(object_id: str, found: Prediction, object_from_source: NDArray[np.float64]) -> dict[str, Any]:
    """Return a prediction as a row of PREDICTIONS; object_from_source (4, 4) is that of the object's mesh file."""
    pair = apply(np.linalg.inv(object_from_source), found.landmarks_mm)
    uncertainty = found.uncertainty
    return {
        "object_id": object_id,
        **dict(zip(COORDINATES, pair.ravel().tolist(), strict=True)),
        **{f"{side}_sigma_mm": float(sigma) for side, sigma in zip(SIDES, uncertainty.sigma_mm, strict=True)},
        "accepted": uncertainty.accepted,
        "reason": uncertainty.reason,
    }


def failure_row(object_id: str, stage: str, reason: str) -> dict[str, Any]:
    """Return the row of PREDICTIONS of an object without a prediction: the stage that failed, and why."""
    empty = dict.fromkeys(PREDICTIONS.names)
    return {**empty, "object_id": object_id, "accepted": False, "reason": f"{stage}: {reason}"}


def to_csv(table: pa.Table) -> bytes:
    """Return a table of PREDICTIONS as CSV: numbers with 9 digits, nulls empty, true and false in lower case."""
    return write_rows(table.column_names, ({k: _cell(value) for k, value in row.items()} for row in table.to_pylist()))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)


def to_markups(row: Mapping[str, Any], landmark: str, space: Space = "LPS") -> bytes:
    """Return the 3D Slicer markups file (.mrk.json) of a row with a prediction; rejected points are not selected.

    Coordinates stay those of the mesh file. `space` names the axes in which Slicer reads that file.
    """
    pair = [(row[f"{side}_x"], row[f"{side}_y"], row[f"{side}_z"]) for side in SIDES]
    note = {"description": row["reason"], "selected": bool(row["accepted"])}
    return markups(labelled(pair, landmark, space).points, space, notes=(note, note))
