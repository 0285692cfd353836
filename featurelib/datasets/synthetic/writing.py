"""A dataset of random bodies in the layout of a user's dataset."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset_json import set_values, settings_json
from featurelib.datasets.landmark_table import write_landmarks, write_pairs
from featurelib.datasets.synthetic.body import Body, make_body
from featurelib.datasets.synthetic.landmarks import EAR_TIPS
from featurelib.errors import UsageError
from featurelib.geometry import SIDES, Alignment, LandmarkSet, apply, inverse
from featurelib.meshes.writers.ply import ply
from featurelib.runtime import storage

DIGITS = 9
"""Significant digits of a coordinate: a tenth of a micrometre even in metres."""


def write_dataset(
    folder: Path,
    num_objects: int,
    seed: int = 0,
    *,
    unit: str = "mm",
    alignment: Alignment | None = None,
    landmarks: LandmarkSet = EAR_TIPS,
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
        landmarks: some of synthetic.LANDMARKS. A single pair is written in the short spelling, by the pair's name and
            with one row per body.
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
    points = {}
    bodies = (pool.map if pool else map)(partial(_body, seed, landmarks), range(num_objects))
    for index, (name, body) in enumerate(zip(names, bodies, strict=True)):
        vertices = apply(source_from_object, body.vertices_mm).astype(np.float32)
        storage.write_bytes(str(folder / "meshes" / f"{name}.ply"), ply(vertices, body.faces))
        points[name] = apply(source_from_object, body.landmarks_mm)
        if progress:
            progress(index + 1)
    table, named = _labels(landmarks, points)
    settings = {"unit": unit, **named} | ({"alignment": alignment.to_dict()} if alignment else {})
    storage.write_bytes(str(folder / "landmarks.csv"), table)
    storage.write_bytes(str(folder / "dataset.json"), settings_json(settings))


def _labels(landmarks: LandmarkSet, points: Mapping[str, NDArray[np.float64]]) -> tuple[bytes, dict[str, Any]]:
    """Return landmarks.csv, and the keys of dataset.json that name the set."""
    if landmarks.is_single_pair:
        return write_pairs(points, digits=DIGITS), {"landmark": landmarks.names[0].removesuffix(f"_{SIDES[0]}")}
    return write_landmarks(landmarks, points, digits=DIGITS), set_values(landmarks)


def _body(seed: int, landmarks: LandmarkSet, index: int) -> Body:
    return make_body(np.random.default_rng([seed, index]), landmarks=landmarks)


def _refuse_other_files(meshes: Path, expected: set[str]) -> None:
    """Raise UsageError if the folder has a file of another dataset, which would become part of this one."""
    others = sorted({entry.name for entry in storage.list_files(str(meshes))} - expected)
    if others:
        raise UsageError(f"{meshes}: holds {others[0]}, which is not of this dataset; choose an empty folder")
