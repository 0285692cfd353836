"""How a run's report judges its objects, for lists that begin with the worst."""

import csv
import io
import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import SIDES, Projection
from featurelib.runtime import storage
from serve.api.schemas import Score, Scores

REFERENCE = "template"
"""The method that disagreement is measured from: it knows the mesh and nothing of the networks."""


class _Row(NamedTuple):
    """What one side of an object has in per_object.csv: xyz (3,) and the error."""

    xyz_mm: NDArray[np.float64]
    error_mm: float


def read_scores(run: str, projection: Projection) -> Scores:
    """Return the scores of a run's report in one projection; none where it has no report."""
    report, table = (storage.join(run, "report", name) for name in ("report.json", "per_object.csv"))
    if not (storage.exists(report) and storage.exists(table)):
        return Scores(projection=projection, method=None, objects={})
    method = json.loads(storage.read_bytes(report))["lifter"].get(projection, {}).get("chosen")
    rows = {
        (row["object_id"], row["method"], row["side"]): _row(row)
        for row in csv.DictReader(io.StringIO(storage.read_bytes(table).decode()))
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
    """Return the largest number; none where a method had no answer."""
    values = list(values_mm)
    return max(values) if values and np.isfinite(values).all() else None
