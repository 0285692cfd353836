"""The report's scores of a run's objects, for lists that begin with the worst."""

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from featurelib.datasets.csv_table import read_table
from featurelib.geometry import SIDES, Projection
from featurelib.runtime import storage

REFERENCE = "template"
"""The method that disagreement is measured from: it uses the mesh and none of the networks."""


class Score(BaseModel):
    """The scores of one object of the report, in mm; each is the larger value of both sides.

    `error_mm` is the error of the run's chosen method; `disagreement_mm` its distance from the registered mean shape.
    """

    error_mm: float | None
    disagreement_mm: float | None


class Scores(BaseModel):
    """The scores of the report's objects; empty without a report."""

    projection: Projection
    method: str | None
    objects: dict[str, Score]


class _Row(NamedTuple):
    """One side of an object in per_object.csv: xyz (3,) and the error."""

    xyz_mm: NDArray[np.float64]
    error_mm: float


def read_scores(run: str, projection: Projection) -> Scores:
    """Return the scores of a run's report in one projection; none if it has no report."""
    report, table = (storage.join(run, "report", name) for name in ("report.json", "per_object.csv"))
    if not (storage.exists(report) and storage.exists(table)):
        return Scores(projection=projection, method=None, objects={})
    method = json.loads(storage.read_bytes(report))["lifter"].get(projection, {}).get("chosen")
    rows = {
        (row["object_id"], row["method"], row["side"]): _row(row)
        for _, row in read_table(storage.read_bytes(table), table).lines
        if row["projection"] == projection and row["method"] in (method, REFERENCE)
    }
    pairs = {object_id: [(object_id, method, side) for side in SIDES] for object_id, *_ in rows}
    scores = {
        object_id: _score([(rows[key], rows.get((object_id, REFERENCE, key[2]))) for key in keys])
        for object_id, keys in pairs.items()
        if all(key in rows for key in keys)
    }
    return Scores(projection=projection, method=method, objects=scores)


def _row(row: dict[str, str]) -> _Row:
    xyz, error = [row[name] for name in ("x_mm", "y_mm", "z_mm")], row["error_mm"]
    return _Row(np.array([float(value or "nan") for value in xyz]), float(error or "nan"))


def _score(sides: list[tuple[_Row, _Row | None]]) -> Score:
    apart = (float(np.linalg.norm(chosen.xyz_mm - other.xyz_mm)) for chosen, other in sides if other is not None)
    return Score(error_mm=_worst(chosen.error_mm for chosen, _ in sides), disagreement_mm=_worst(apart))


def _worst(values_mm: Iterable[float]) -> float | None:
    """Return the largest number; none if a method has no result."""
    values = list(values_mm)
    return max(values) if values and np.isfinite(values).all() else None
