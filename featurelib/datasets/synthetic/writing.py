"""A dataset of random bodies in the layout of a user's dataset."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

from featurelib.datasets.csv_table import write_rows
from featurelib.datasets.dataset_json import settings_json
from featurelib.datasets.landmark_table import COLUMNS, coordinate_cells
from featurelib.datasets.synthetic.body import Body, make_body
from featurelib.errors import UsageError
from featurelib.geometry import Alignment, apply, inverse
from featurelib.meshes.writers.ply import ply
from featurelib.runtime import storage

LANDMARK = "ear_tip"
"""Name of a synthetic body's landmark in `dataset.json`."""

DIGITS = 9
"""Significant digits of a coordinate: a tenth of a micrometre even in metres."""


def write_dataset(
    folder: Path,
    num_objects: int,
    seed: int = 0,
    *,
    unit: str = "mm",
    alignment: Alignment | None = None,
    progress: Callable[[int], None] | None = None,
    pool: Executor | None = None,
) -> None:
    """Write `dataset.json`, `landmarks.csv` and `meshes/body-00000.ply`, `meshes/body-00001.ply` and so on.

    Body i does not depend on the number of bodies. Writing the same dataset again changes no byte.

    Args:
        folder: created if it does not exist.
        num_objects: at least 1.
        seed: selects the bodies; at least 0.
        unit: of the files, one of MM_PER_UNIT.
        alignment: from the files' frame to the object frame; the files are rotated by its inverse. Without it the
            files are in the object frame.
        progress: called with the number of bodies written so far.
        pool: makes the bodies, which takes 0.4 s of CPU each; default: this process, one after the other.

    Raises:
        UsageError: if `num_objects` or `seed` is out of range, or the folder has meshes of another dataset.
        DataError: if the unit is unknown or a file cannot be written.
    """
    if num_objects < 1 or seed < 0:
        raise UsageError(f"{num_objects} objects with seed {seed}: expected at least 1 object and a seed of at least 0")
    source_from_object = inverse((alignment or Alignment()).object_from_source(unit))
    names = [f"body-{index:05d}" for index in range(num_objects)]
    _refuse_other_files(folder / "meshes", {f"{name}.ply" for name in names})
    rows = []
    bodies = (pool.map if pool else map)(partial(_body, seed), range(num_objects))
    for index, (name, body) in enumerate(zip(names, bodies, strict=True)):
        vertices = apply(source_from_object, body.vertices_mm).astype(np.float32)
        storage.write_bytes(str(folder / "meshes" / f"{name}.ply"), ply(vertices, body.faces))
        rows.append({"object_id": name, **coordinate_cells(apply(source_from_object, body.landmarks_mm), DIGITS)})
        if progress:
            progress(index + 1)
    settings = {"unit": unit, "landmark": LANDMARK} | ({"alignment": alignment.to_dict()} if alignment else {})
    storage.write_bytes(str(folder / "landmarks.csv"), write_rows(COLUMNS, rows))
    storage.write_bytes(str(folder / "dataset.json"), settings_json(settings))


def _body(seed: int, index: int) -> Body:
    return make_body(np.random.default_rng([seed, index]))


def _refuse_other_files(meshes: Path, expected: set[str]) -> None:
    """Raise UsageError if the folder has a file of another dataset, which would become part of this one."""
    others = sorted({entry.name for entry in storage.list_files(str(meshes))} - expected)
    if others:
        raise UsageError(f"{meshes}: holds {others[0]}, which is not of this dataset; choose an empty folder")
