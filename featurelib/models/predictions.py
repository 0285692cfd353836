"""Predictions as a user gets them: in the source frame and unit of the dataset, as a table and as Slicer markups."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib.datasets.landmark_files.formats import labelled
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.slicer import markups
from featurelib.datasets.landmark_table import COORDINATES
from featurelib.geometry import SIDES, apply
from featurelib.models.requests import Answer

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
"""One row an object. Coordinates are in the source frame and unit, the standard deviations along an axis in mm; all
null for an object without an answer, whose reason then begins with the stage that failed. `reason` is empty where an
answer is accepted."""


def prediction(object_id: str, answer: Answer, object_from_source: NDArray[np.float64]) -> dict[str, Any]:
    """Return the row of PREDICTIONS of an answer; object_from_source (4, 4) is the dataset's."""
    pair = apply(np.linalg.inv(object_from_source), answer.pair_mm)
    uncertainty = answer.uncertainty
    return {
        "object_id": object_id,
        **dict(zip(COORDINATES, pair.ravel().tolist(), strict=True)),
        **{f"{side}_sigma_mm": float(sigma) for side, sigma in zip(SIDES, uncertainty.sigma_mm, strict=True)},
        "accepted": uncertainty.accepted,
        "reason": uncertainty.reason,
    }


def no_prediction(object_id: str, stage: str, reason: str) -> dict[str, Any]:
    """Return the row of PREDICTIONS of an object without an answer, and why."""
    empty = dict.fromkeys(PREDICTIONS.names)
    return {**empty, "object_id": object_id, "accepted": False, "reason": f"{stage}: {reason}"}


def to_csv(table: pa.Table) -> bytes:
    """Return a table of PREDICTIONS as CSV: numbers to 9 digits, nulls empty, true and false in small letters."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in table.to_pylist())
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)


def to_markups(row: Mapping[str, Any], landmark: str, space: Space = "LPS") -> bytes:
    """Return 3D Slicer's markups file (.mrk.json) of a row with an answer; a point of a doubtful one is not selected.

    The points are written as they are, in the axes (`space`) in which Slicer takes the mesh file, and lie on it there.
    """
    pair = [(row[f"{side}_x"], row[f"{side}_y"], row[f"{side}_z"]) for side in SIDES]
    note = {"description": row["reason"], "selected": bool(row["accepted"])}
    return markups(labelled(pair, landmark, space).points, space, notes=(note, note))
