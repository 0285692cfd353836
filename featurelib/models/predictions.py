"""What a predictor takes and returns; predictions in the dataset's frame and unit, as a table and for Slicer."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib.datasets.csv_table import write_rows
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.slicer import markups
from featurelib.geometry import apply
from featurelib.models.uncertainty.model import Uncertainty
from featurelib.models.uncertainty.quality import QualityScores

REFINED = "refined"
"""The method that refines a first estimate on crops."""

MIN_PRESENT = 0.5
"""Probability from which a landmark counts as present."""

NOT_PLACED = "undefined"
"""positionStatus of a point without a position in Slicer's schema of markups."""

ROWS_AT_ONCE = 10_000
"""Rows that are written as CSV at once: their Python values take 10 MB."""

PREDICTIONS = pa.schema(
    [
        ("object_id", pa.string()),
        ("landmark", pa.string()),
        *((axis, pa.float64()) for axis in "xyz"),
        ("sigma_mm", pa.float64()),
        ("present", pa.bool_()),
        ("accepted", pa.bool_()),
        ("reason", pa.string()),
    ]
)
"""One row per object and landmark, in the set's order. Coordinates are in the source frame and unit; sigma_mm is the
standard deviation along one axis, in mm. Both are null for a landmark that does not exist on the object (`present` is
false), and for an object without a prediction, whose `present` is null and whose reason begins with the stage that
failed. The reason of an accepted landmark is empty; a landmark that does not exist is accepted."""


class Detection(NamedTuple):
    """The detector's result in v views: landmarks_xy (v, k, 2), and visible (v, k), probabilities 0 to 1."""

    landmarks_xy: NDArray[np.floating]
    visible: NDArray[np.floating]


class Prediction(NamedTuple):
    """One object's k landmarks in the object frame, in the set's order.

    estimates_mm: (k, 3) by method: `template`, the lifter's chosen one and, if there is a refiner, `refined`. They are
    never NaN: a landmark that the lifter does not place has the template's position, and one that cannot be refined its
    first estimate.
    method: the one selected on validation objects. covariance_mm2: (k, 3, 3) that method's own, not calibrated.
    quality_scores: of that method. uncertainty: calibrated, and which landmarks are accepted; absent ones are.
    present: (k,) probability that the object has the landmark; 1 if the run knows no absent ones.
    """

    estimates_mm: Mapping[str, NDArray[np.float64]]
    method: str
    covariance_mm2: NDArray[np.float64]
    quality_scores: QualityScores
    uncertainty: Uncertainty
    present: NDArray[np.float64]

    @property
    def is_present(self) -> NDArray[np.bool_]:
        """(k,) whether the object has the landmark."""
        return self.present >= MIN_PRESENT

    @property
    def landmarks_mm(self) -> NDArray[np.float64]:
        """(k, 3) the landmarks by the selected method; NaN for absent ones."""
        return np.where(self.is_present[:, None], self.estimates_mm[self.method], np.nan)


def without_absent(uncertainty: Uncertainty, present: NDArray[np.float64]) -> Uncertainty:
    """Return the uncertainty with landmarks accepted that do not exist, by the probabilities (k,) that they do."""
    is_absent = present < MIN_PRESENT
    reasons = ("" if absent else reason for reason, absent in zip(uncertainty.reasons, is_absent, strict=True))
    return uncertainty._replace(accepted=uncertainty.accepted | is_absent, reasons=tuple(reasons))


class Failure(NamedTuple):
    """Why an object has no prediction: the stage that failed, and the reason in one line."""

    stage: str
    reason: str


def prediction_rows(
    object_id: str, found: Prediction, names: Sequence[str], object_from_source: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return a prediction as k rows of PREDICTIONS.

    Args:
        object_id: id of the object.
        found: the prediction.
        names: (k,) of the landmarks.
        object_from_source: (4, 4) of the object's mesh file.
    """
    points = apply(np.linalg.inv(object_from_source), found.landmarks_mm).tolist()
    sigmas_mm, reasons = found.uncertainty.sigma_mm.tolist(), found.uncertainty.reasons
    return [
        {
            "object_id": object_id,
            "landmark": name,
            **dict(zip("xyz", point if is_present else (None,) * 3, strict=True)),
            "sigma_mm": sigma_mm if is_present else None,
            "present": bool(is_present),
            "accepted": not reason,
            "reason": reason,
        }
        for name, point, sigma_mm, is_present, reason in zip(
            names, points, sigmas_mm, found.is_present, reasons, strict=True
        )
    ]


def failure_rows(object_id: str, failure: Failure, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the k rows of PREDICTIONS of an object without a prediction; names (k,) are those of the landmarks."""
    empty = dict.fromkeys(PREDICTIONS.names)
    reason = f"{failure.stage}: {failure.reason}"
    return [{**empty, "object_id": object_id, "landmark": name, "accepted": False, "reason": reason} for name in names]


class PredictedObjects(NamedTuple):
    """Predictions of n objects with k landmarks.

    object_ids: (n,). points: (n, k, 3) in the source frame and unit, NaN without a position. sigma_mm: (n, k), NaN
    likewise. accepted: (n, k). reasons: (n, k) texts.
    """

    object_ids: list[str]
    points: NDArray[np.float64]
    sigma_mm: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    reasons: NDArray[np.object_]


def predicted_objects(table: pa.Table, num_landmarks: int) -> PredictedObjects:
    """Return a table of PREDICTIONS, whose objects have k rows each, as arrays."""
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    shaped = {name: values.reshape(-1, num_landmarks) for name, values in columns.items()}
    return PredictedObjects(
        shaped["object_id"][:, 0].tolist(),
        np.stack([shaped[axis] for axis in "xyz"], axis=-1),
        shaped["sigma_mm"],
        shaped["accepted"],
        shaped["reason"],
    )


def to_csv(table: pa.Table) -> bytes:
    """Return a table of PREDICTIONS as CSV: numbers with 9 digits, nulls empty, true and false in lower case."""
    out = io.BytesIO(write_rows(table.column_names, ()))
    out.seek(0, io.SEEK_END)
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        rows = ({name: _cell(value) for name, value in row.items()} for row in batch.to_pylist())
        out.write(write_rows(table.column_names, rows).partition(b"\n")[2])
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)


def to_markups(rows: Iterable[Mapping[str, Any]], space: Space = "LPS") -> bytes:
    """Return the 3D Slicer markups file (.mrk.json) of an object's rows of PREDICTIONS.

    A landmark without a position is a point that is not placed; one that is not accepted is not selected. Coordinates
    stay those of the mesh file. `space` names the axes in which Slicer reads that file.
    """
    points, notes = [], []
    for row in rows:
        xyz = (row["x"], row["y"], row["z"])
        is_placed = None not in xyz
        status = {} if is_placed else {"position": [0.0, 0.0, 0.0], "positionStatus": NOT_PLACED}
        points.append((row["landmark"], xyz))
        notes.append({"description": row["reason"], "selected": bool(row["accepted"]), **status})
    return markups(points, space, notes)
