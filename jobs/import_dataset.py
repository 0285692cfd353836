"""A folder of meshes and other programs' landmark files -> DATASET, in the layout that every command reads.

1. Settle unit and landmark: the flags', or those of the dataset that is there.
2. Read the landmark files; look on a few meshes whether the landmarks lie on them, before anything is written.
3. Copy the meshes, then write landmarks.csv and, last, dataset.json.
"""

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from featurelib.datasets.dataset_json import settings_json
from featurelib.datasets.landmark_files.formats import POINT_SUFFIXES, suffix_of
from featurelib.datasets.landmark_files.importing import Imported, Reading, import_landmarks
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.placement import Placement, placement
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.datasets.landmark_table import merge_landmarks
from featurelib.errors import DataError, UsageError
from featurelib.geometry import MM_PER_UNIT, Alignment
from featurelib.geometry.named_axes import Axis, named_rotation
from featurelib.meshes import MESH_SUFFIXES, parse_mesh
from featurelib.meshes.conversion import as_ply, foreign_suffixes
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress

logger = logging.getLogger(__name__)

Unit = Literal["mm", "cm", "m", "inch"]

LOOKED_AT = 9
"""Objects on which it is looked up whether the landmarks lie on the mesh: half a second."""

FAULTS_SHOWN = 10


@cli.config
@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What to bring in.

    Attributes:
        out: Folder or s3:// URI that becomes the dataset, or is one already.
        meshes: Folder or s3:// URI of mesh files, one an object; its name is the object's id. Default: OUT/meshes.
        landmarks: File, or folder of files, of points: Slicer .mrk.json and .fcsv, MeshLab .pp, .json, .csv.
        unit: Of the mesh files' numbers; needed for a new dataset.
        landmark: What the landmark is called; needed for a new dataset.
        front: Axis of the mesh files that points out of the face, as -y; `align` knows more.
        up: Axis of the mesh files that points up, as +z.
        left: Label of the left instance in the files, or the names of a CSV's columns x, y and z.
        right: The same of the right instance. Default: the points whose labels say left or l, right or r.
        object_column: Column of a CSV with the object's id or file. Default: found by its name.
        label_column: Column of a CSV with a row a point that holds its label. Default: found by its name.
        landmark_unit: Of the landmark files' numbers, if it is not that of the meshes.
        mesh_space: What Slicer takes the axes of meshes for that do not say so themselves.
        link: Link to the mesh files instead of copying them (local folders).
    """

    out: str
    meshes: str | None = None
    landmarks: str | None = None
    unit: Unit | None = None
    landmark: str | None = None
    front: Annotated[Axis | None, cli.hyphened] = None
    up: Annotated[Axis | None, cli.hyphened] = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    object_column: str | None = None
    label_column: str | None = None
    landmark_unit: Unit | None = None
    mesh_space: Space = "LPS"
    link: bool = False


def import_dataset(config: ImportConfig) -> None:
    """Make a dataset from a folder of meshes and landmark files of other programs.

    Landmarks may come later, and again: rows of objects that the files do not name stay as they are.

    Example: featurelib import-dataset --meshes scans --landmarks marks --unit inch --landmark tragus --out heads
    """
    out = storage.absolute(config.out)
    settings = _settings(config, storage.join(out, "dataset.json"))
    meshes = _mesh_files(config, out)
    imported = _landmarks(config, settings, meshes) if config.landmarks else None
    if config.meshes:
        _bring_meshes(config, meshes, storage.join(out, "meshes"))
    labelled = _write_landmarks(imported, storage.join(out, "landmarks.csv")) if imported else 0
    storage.write_bytes(storage.join(out, "dataset.json"), settings_json(settings))
    told = f", landmarks of {labelled}" if imported else ""
    print_result(
        f"{out}: {len(meshes)} meshes{told}; check it: featurelib validate --dataset {config.out} --out checks",
        {"dataset": out, "meshes": len(meshes), "labelled": labelled},
    )


def _settings(config: ImportConfig, uri: str) -> dict[str, Any]:
    """Return what dataset.json is to hold."""
    asked = {name: value for name in ("unit", "landmark") if (value := getattr(config, name))}
    rotation = named_rotation(config.front, config.up)
    aligned = {"alignment": Alignment((rotation,)).to_dict()} if rotation else {}
    if not storage.exists(uri):
        if missing := {"unit", "landmark"} - set(asked):
            flags = " and ".join(f"--{name}" for name in sorted(missing))
            raise UsageError(f"{uri}: is not there, so {flags} must be given, as in --unit mm --landmark tragus")
        return {**asked, **aligned}
    try:
        known = dict(json.loads(storage.read_bytes(uri)))
    except ValueError as error:
        raise DataError(f"{uri}: not a JSON object ({error}); fix or remove it") from None
    for name, value in asked.items():
        if known.get(name, value) != value:
            raise UsageError(f"--{name} {value}: {uri} says {known[name]}; leave it out, or choose another --out")
    return {**known, **asked, **aligned}


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
                raise DataError(f"{folder}: {entry.name} and {other} would both be object {object_id}; keep one")
            found[object_id] = storage.join(folder, entry.name)
    if not found:
        raise DataError(f"{folder}: no mesh files; expected {', '.join(MESH_SUFFIXES)} or another that trimesh reads")
    return found


def _landmarks(config: ImportConfig, settings: Mapping[str, Any], meshes: Mapping[str, str]) -> Imported:
    """Return the landmarks of all files."""
    unit, read_unit = settings["unit"], config.landmark_unit or settings["unit"]
    if {len(config.left), len(config.right)} - {0, 1, 3}:
        raise UsageError("--left, --right: expected a label, or the names of three columns x, y and z")
    columns = Columns(
        config.object_column,
        config.label_column,
        *(names if len(names) == 3 else () for names in (config.left, config.right)),
    )
    left, right = (names[0] if len(names) == 1 else None for names in (config.left, config.right))
    reading = Reading(settings["landmark"], left, right, columns, MM_PER_UNIT[read_unit] / MM_PER_UNIT[unit])
    imported = import_landmarks(
        _point_files(str(config.landmarks)), meshes, reading, lambda i: _space(meshes[i], config.mesh_space)
    )
    for fault in imported.faults[:FAULTS_SHOWN]:
        logger.warning("left out: %s", fault.message)
    if len(imported.faults) > FAULTS_SHOWN:
        logger.warning("left out: %s more", len(imported.faults) - FAULTS_SHOWN)
    if not imported.pairs:
        reason = f"; the first: {imported.faults[0].message}" if imported.faults else ""
        raise DataError(f"{config.landmarks}: no landmarks of any of {len(meshes)} meshes{reason}")
    _refuse_elsewhere(config, _placed(imported, meshes, unit, read_unit))
    return imported


def _point_files(landmarks: str) -> list[tuple[str, bytes]]:
    """Return name and content of the files of points: one, or all in a folder."""
    uri = storage.absolute(landmarks)
    if suffix_of(uri) and storage.exists(uri):
        return [(uri.rpartition("/")[2], storage.read_bytes(uri))]
    names = [entry.name for entry in storage.list_files(uri) if suffix_of(entry.name)]
    if not names:
        raise DataError(f"{uri}: no landmark files; expected {', '.join(POINT_SUFFIXES)}, or a folder of them")
    return [(name, storage.read_bytes(storage.join(uri, name))) for name in names]


def _space(mesh_uri: str, otherwise: Space) -> Space:
    return mesh_space(storage.read_bytes(mesh_uri)) or otherwise


def _placed(imported: Imported, meshes: Mapping[str, str], unit: str, read_unit: str) -> Placement | None:
    """Return how the landmarks lie on a few of the meshes; None if none of those can be read."""
    chosen = [*imported.pairs][:: max(1, len(imported.pairs) // LOOKED_AT)][:LOOKED_AT]
    mm = Alignment().object_from_source(unit)
    seen = []
    for object_id in chosen:
        content, name = _readable(meshes[object_id])
        try:
            mesh = parse_mesh(content, name, mm)
        except DataError:
            continue  # `validate` says it of every one
        seen.append((mesh.vertices_mm / MM_PER_UNIT[unit], np.array(imported.pairs[object_id])))
    turn = any(imported.spaces[object_id] for object_id in chosen)
    return placement(seen, read_unit, turn=turn) if seen else None


def _refuse_elsewhere(config: ImportConfig, placed: Placement | None) -> None:
    """Raise DataError, with the flags that would fix it, if the landmarks are not on the meshes but could be."""
    if placed is None or not placed.is_off:
        return
    flags = [f"--landmark-unit {placed.unit}"] if placed.unit != (config.landmark_unit or config.unit) else []
    flags += [f"--mesh-space {'LPS' if config.mesh_space == 'RAS' else 'RAS'}"] if placed.is_turned else []
    raise DataError(
        f"{config.landmarks}: the landmarks are {placed.share:.3g} mesh sizes off the meshes, and "
        f"{placed.best_share:.2g} with {' '.join(flags)}; give these flags, or fix the files"
    )


def _bring_meshes(config: ImportConfig, meshes: Mapping[str, str], folder: str) -> None:
    """Copy, convert or link every mesh file."""
    progress = Progress("import-dataset", len(meshes), "meshes")
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(partial(_bring, folder=folder, link=config.link), meshes.values()):
            progress.add(1)
    progress.end()


def _bring(uri: str, folder: str, link: bool) -> None:
    name = uri.rpartition("/")[2]
    target = storage.join(folder, name)
    if target == uri:
        return
    if link and "." + name.rpartition(".")[2].lower() in MESH_SUFFIXES:
        if storage.is_s3(uri) or storage.is_s3(folder):
            raise UsageError("--link: only a local folder can link to a local one; leave it out to copy")
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(target).unlink(missing_ok=True)
        Path(target).symlink_to(uri)
        return
    content, name = _readable(uri)
    storage.write_bytes(storage.join(folder, name), content)


def _readable(uri: str) -> tuple[bytes, str]:
    """Return a mesh file's content and name; one of a foreign format as PLY."""
    content, name = storage.read_bytes(uri), uri.rpartition("/")[2]
    stem, _, suffix = name.rpartition(".")
    if "." + suffix.lower() in MESH_SUFFIXES:
        return content, name
    return as_ply(content, suffix.lower(), name), f"{stem}.ply"


def _write_landmarks(imported: Imported, uri: str) -> int:
    """Write landmarks.csv, keeping the existing rows of other objects, and return the number of rows."""
    earlier = storage.read_bytes(uri) if storage.exists(uri) else b""
    content, num_rows = merge_landmarks(earlier, uri, imported.pairs, imported.extras)
    storage.write_bytes(uri, content)
    return num_rows


if __name__ == "__main__":
    cli.run(cli.single_command(import_dataset, "import-dataset"))
