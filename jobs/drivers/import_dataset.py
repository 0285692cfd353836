"""A folder of meshes and other programs' landmark files -> DATASET, in the layout that all commands read.

1. Settle unit and landmark: from the flags, or from an existing dataset.
2. Read the landmark files, and check on a few meshes that the landmarks are on the surface.
3. Copy the meshes, then write landmarks.csv and finally dataset.json.
"""

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from featurelib.datasets.dataset_json import settings_json
from featurelib.datasets.landmark_files.formats import POINT_SUFFIXES, suffix_of
from featurelib.datasets.landmark_files.importing import Imported, Reading, import_landmarks
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.placement import Placement, placement
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.datasets.landmark_table import merge_landmarks
from featurelib.datasets.mesh_import import import_mesh, read_mesh_file
from featurelib.errors import DataError, UsageError
from featurelib.geometry import MM_PER_UNIT, Alignment
from featurelib.geometry.named_axes import named_rotation
from featurelib.meshes import MESH_SUFFIXES, parse_mesh
from featurelib.meshes.conversion import foreign_suffixes
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from jobs.import_dataset import ImportConfig

logger = logging.getLogger(__name__)

PLACEMENT_SAMPLE = 9
"""Number of objects on which the landmarks' distance from the mesh is measured; this takes half a second."""

FAULTS_SHOWN = 10
"""Number of left-out points that are printed."""


def run(config: ImportConfig) -> None:
    """Import meshes and landmarks, and print their numbers."""
    out = storage.absolute(config.out)
    settings = _settings(config, storage.join(out, "dataset.json"))
    meshes = _mesh_files(config, out)
    imported = _landmarks(config, settings, meshes) if config.landmarks else None
    if config.meshes:
        _import_meshes(config, meshes, storage.join(out, "meshes"))
    labelled = _write_landmarks(imported, storage.join(out, "landmarks.csv")) if imported else 0
    storage.write_bytes(storage.join(out, "dataset.json"), settings_json(settings))
    landmarks = f", {labelled} with landmarks" if imported else ""
    print_result(
        f"{out}: {len(meshes)} meshes{landmarks}; check it: featurelib validate --dataset {config.out} --out checks",
        {"dataset": out, "meshes": len(meshes), "labelled": labelled},
    )


def _settings(config: ImportConfig, uri: str) -> dict[str, Any]:
    """Return the new content of dataset.json."""
    given = {name: value for name in ("unit", "landmark") if (value := getattr(config, name))}
    rotation = named_rotation(config.front, config.up)
    aligned = {"alignment": Alignment((rotation,)).to_dict()} if rotation else {}
    if not storage.exists(uri):
        if missing := {"unit", "landmark"} - set(given):
            flags = " and ".join(f"--{name}" for name in sorted(missing))
            raise UsageError(f"{uri}: no such file; give {flags}, as in --unit mm --landmark tragus")
        return {**given, **aligned}
    try:
        known = dict(json.loads(storage.read_bytes(uri)))
    except ValueError as error:
        raise DataError(f"{uri}: not a JSON object ({error}); fix or remove it") from None
    for name, value in given.items():
        if known.get(name, value) != value:
            raise UsageError(f"--{name} {value}: {uri} has {known[name]}; omit the flag, or choose another --out")
    return {**known, **given, **aligned}


def _mesh_files(config: ImportConfig, out: str) -> dict[str, str]:
    """Return the URIs of the mesh files by object."""
    folder = storage.absolute(config.meshes) if config.meshes else storage.join(out, "meshes")
    suffixes = (*MESH_SUFFIXES, *foreign_suffixes()) if config.meshes else MESH_SUFFIXES
    found: dict[str, str] = {}
    for entry in storage.list_files(folder):
        object_id, dot, suffix = entry.name.rpartition(".")
        if dot + suffix.lower() in suffixes and suffix_of(entry.name) is None and object_id:
            if object_id in found:
                other = found[object_id].rpartition("/")[2]
                raise DataError(f"{folder}: {entry.name} and {other} are both object {object_id}; keep one")
            found[object_id] = storage.join(folder, entry.name)
    if not found:
        raise DataError(f"{folder}: no mesh files; expected {', '.join(MESH_SUFFIXES)} or another that trimesh reads")
    return found


def _landmarks(config: ImportConfig, settings: Mapping[str, Any], meshes: Mapping[str, str]) -> Imported:
    """Return the landmarks of all files; points that are left out are printed."""
    unit, read_unit = settings["unit"], config.landmark_unit or settings["unit"]
    reading = _reading(config, settings["landmark"], MM_PER_UNIT[read_unit] / MM_PER_UNIT[unit])
    files = _landmark_files(str(config.landmarks))
    imported = import_landmarks(files, meshes, reading, lambda i: _space(meshes[i], config.mesh_space))
    for fault in imported.faults[:FAULTS_SHOWN]:
        logger.warning("left out: %s", fault.message)
    if len(imported.faults) > FAULTS_SHOWN:
        logger.warning("left out: %s more", len(imported.faults) - FAULTS_SHOWN)
    if not imported.pairs:
        reason = f"; the first: {imported.faults[0].message}" if imported.faults else ""
        raise DataError(f"{config.landmarks}: no landmarks of any of {len(meshes)} meshes{reason}")
    _refuse_misplaced(config, _placement(imported, meshes, unit, read_unit))
    return imported


def _reading(config: ImportConfig, landmark: str, scale: float) -> Reading:
    """Return the options for reading landmark files; --left and --right are a label or three columns."""
    if {len(config.left), len(config.right)} - {0, 1, 3}:
        raise UsageError("--left, --right: expected a label, or the names of three columns x, y and z")
    left_columns, right_columns = (names if len(names) == 3 else () for names in (config.left, config.right))
    left, right = (names[0] if len(names) == 1 else None for names in (config.left, config.right))
    columns = Columns(config.object_column, config.label_column, left_columns, right_columns)
    return Reading(landmark, left, right, columns, scale)


def _landmark_files(landmarks: str) -> list[tuple[str, bytes]]:
    """Return name and content of the landmark files: one, or all in a folder."""
    uri = storage.absolute(landmarks)
    if suffix_of(uri) and storage.exists(uri):
        return [(uri.rpartition("/")[2], storage.read_bytes(uri))]
    names = [entry.name for entry in storage.list_files(uri) if suffix_of(entry.name)]
    if not names:
        raise DataError(f"{uri}: no landmark files; expected {', '.join(POINT_SUFFIXES)}, or a folder of them")
    return [(name, storage.read_bytes(storage.join(uri, name))) for name in names]


def _space(mesh_uri: str, otherwise: Space) -> Space:
    return mesh_space(storage.read_bytes(mesh_uri)) or otherwise


def _placement(imported: Imported, meshes: Mapping[str, str], unit: str, read_unit: str) -> Placement | None:
    """Return the placement of the landmarks on a few of the meshes; None if none of these can be read."""
    chosen = [*imported.pairs][:: max(1, len(imported.pairs) // PLACEMENT_SAMPLE)][:PLACEMENT_SAMPLE]
    mm = Alignment().object_from_source(unit)
    objects = []
    for object_id in chosen:
        content, name = read_mesh_file(meshes[object_id])
        try:
            mesh = parse_mesh(content, name, mm)
        except DataError:
            continue  # `validate` reports bad meshes
        objects.append((mesh.vertices_mm / MM_PER_UNIT[unit], np.array(imported.pairs[object_id])))
    turn = any(imported.spaces[object_id] for object_id in chosen)
    return placement(objects, read_unit, turn=turn) if objects else None


def _refuse_misplaced(config: ImportConfig, found: Placement | None) -> None:
    """Raise DataError, with the flags that fix it, if the landmarks are off the meshes and another reading is not."""
    if found is None or not found.is_off:
        return
    flags = [f"--landmark-unit {found.unit}"] if found.unit != (config.landmark_unit or config.unit) else []
    flags += [f"--mesh-space {'LPS' if config.mesh_space == 'RAS' else 'RAS'}"] if found.is_turned else []
    raise DataError(
        f"{config.landmarks}: the landmarks are {found.share:.3g} mesh sizes off the meshes, and "
        f"{found.best_share:.2g} with {' '.join(flags)}; give these flags, or fix the files"
    )


def _import_meshes(config: ImportConfig, meshes: Mapping[str, str], folder: str) -> None:
    progress = Progress("import-dataset", len(meshes), "meshes")
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(partial(import_mesh, folder=folder, link=config.link), meshes.values()):
            progress.add(1)
    progress.end()


def _write_landmarks(imported: Imported, uri: str) -> int:
    """Write landmarks.csv, keeping the existing rows of other objects, and return the number of rows."""
    earlier = storage.read_bytes(uri) if storage.exists(uri) else b""
    content, num_rows = merge_landmarks(earlier, uri, imported.pairs, imported.extras)
    storage.write_bytes(uri, content)
    return num_rows
