"""The report's scores of a run's objects, for lists that begin with the worst."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv
from pydantic import BaseModel

from featurelib.geometry import LandmarkSet, Projection
from featurelib.runtime import storage

REFERENCE = "template"
"""The method that disagreement is measured from: it uses the mesh and none of the networks."""

KEYS = ("object_id", "projection", "method", "landmark")
NUMBERS = ("x_mm", "y_mm", "z_mm", "error_mm")
"""The columns of per_object.csv that are read."""


class Score(BaseModel):
    """The scores of one object, each the largest of its landmarks, or of one landmark, their mean over objects; in mm.

    `error_mm` is the error of the run's chosen method; `disagreement_mm` its distance from the registered mean shape.
    """

    error_mm: float | None
    disagreement_mm: float | None


class Scores(BaseModel):
    """The scores of the report's objects and of the landmarks by name; empty without a report."""

    projection: Projection
    method: str | None
    objects: dict[str, Score]
    landmarks: dict[str, Score]


def read_scores(run: str, landmarks: LandmarkSet, projection: Projection) -> Scores:
    """Return the scores of a run's report in one projection; none if it has no report."""
    report, table = (storage.join(run, "report", name) for name in ("report.json", "per_object.csv"))
    if not (storage.exists(report) and storage.exists(table)):
        return Scores(projection=projection, method=None, objects={}, landmarks={})
    method = json.loads(storage.read_bytes(report))["lifter"].get(projection, {}).get("chosen")
    values, object_ids = _values(storage.read_bytes(table), landmarks, projection, [str(method), REFERENCE])
    error_mm, apart_mm = values[0, ..., 3], np.linalg.norm(values[0, ..., :3] - values[1, ..., :3], axis=-1)
    is_found = np.isfinite(values[0]).any(axis=(1, 2))
    return Scores(
        projection=projection,
        method=method,
        objects={
            object_id: Score(error_mm=_largest(error), disagreement_mm=_largest(apart))
            for object_id, found, error, apart in zip(object_ids, is_found, error_mm, apart_mm, strict=True)
            if found
        },
        landmarks={
            name: Score(error_mm=_mean(error), disagreement_mm=_mean(apart))
            for name, error, apart in zip(landmarks.names, error_mm.T, apart_mm.T, strict=True)
        },
    )


def _values(
    content: bytes, landmarks: LandmarkSet, projection: Projection, methods: list[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return x, y, z and error (m, n, k, 4) of each method, object and landmark, NaN where not known, and the ids."""
    types = {**dict.fromkeys(KEYS, pa.string()), **dict.fromkeys(NUMBERS, pa.float64())}
    options = csv.ConvertOptions(column_types=types, include_columns=[*types])
    table = csv.read_csv(io.BytesIO(content), convert_options=options)
    is_mine = pc.and_(pc.equal(table["projection"], projection), pc.is_in(table["method"], pa.array(methods)))
    rows = table.filter(is_mine)
    ids, names, used = (rows[key].to_pylist() for key in ("object_id", "landmark", "method"))
    object_ids = sorted(set(ids))
    index = {object_id: i for i, object_id in enumerate(object_ids)}
    places = (
        [methods.index(method) for method in used],
        [index[object_id] for object_id in ids],
        [landmarks.index[name] for name in names],
    )
    values = np.full((len(methods), len(object_ids), len(landmarks.names), len(NUMBERS)), np.nan)
    values[places] = np.stack([rows[name].to_numpy() for name in NUMBERS], axis=-1)
    return values, object_ids


def _largest(values_mm: NDArray[np.float64]) -> float | None:
    """Return the largest number; None if there is none."""
    known = values_mm[np.isfinite(values_mm)]
    return float(known.max()) if known.size else None


def _mean(values_mm: NDArray[np.float64]) -> float | None:
    """Return the mean of the numbers; None if there is none."""
    known = values_mm[np.isfinite(values_mm)]
    return float(known.mean()) if known.size else None
