"""A folder of meshes and other programs' landmark files -> DATASET, in the layout that all commands read.

1. Settle unit and landmark: from the flags, or from an existing dataset.
2. Read the landmark files, and check on a few meshes that the landmarks are on the surface.
3. Read each mesh, measure its landmarks' distance from it, and copy it.
4. Write landmarks.csv and finally dataset.json, and print what was left out, repaired and not read.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from featurelib.datasets.dataset_json import settings_json
from featurelib.datasets.faults import Fault, report
from featurelib.datasets.import_summary import Summary
from featurelib.datasets.landmark_files.importing import Imported, Reading, import_landmarks
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.placement import Placement, placement
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.datasets.landmark_folder import LandmarkFiles, read_landmark_files
from featurelib.datasets.landmark_table import merge_landmarks
from featurelib.datasets.mesh_folder import MeshFolder, read_mesh_folder, refuse_alike
from featurelib.datasets.mesh_import import ImportedMesh, MeshJob, import_mesh, read_mesh_file
from featurelib.errors import DataError, UsageError
from featurelib.geometry import MM_PER_UNIT, Alignment
from featurelib.geometry.named_axes import named_rotation
from featurelib.meshes import MESH_SUFFIXES, parse_mesh
from featurelib.meshes.conversion import foreign_suffixes
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from jobs.import_dataset import ImportConfig

logger = logging.getLogger(__name__)

PLACEMENT_SAMPLE = 9
"""Number of objects on which other units and axes are tried; this takes half a second."""

NO_FILES, NO_LANDMARKS = LandmarkFiles([], frozenset()), Imported({}, {}, {}, ())


def run(config: ImportConfig) -> None:
    """Import meshes and landmarks, and print what was done."""
    out = storage.absolute(config.out)
    settings = _settings(config, storage.join(out, "dataset.json"))
    faults: list[Fault] = []
    folder = _mesh_folder(config, out, faults)
    files = read_landmark_files(storage.absolute(config.landmarks), folder.meshes) if config.landmarks else NO_FILES
    imported = _landmarks(config, settings, folder, files) if config.landmarks else NO_LANDMARKS
    _take(config, faults, imported.faults)
    meshes = _import_meshes(config, _jobs(config, settings, folder, out, imported), faults)
    pairs = _labels(config, imported, meshes, faults)
    if config.meshes:
        _remove_replaced(storage.join(out, "meshes"), meshes)
    rows = _write_landmarks(imported, pairs, storage.join(out, "landmarks.csv")) if pairs else []
    storage.write_bytes(storage.join(out, "dataset.json"), settings_json(settings))
    summary = Summary.of(folder, meshes, pairs, files.uris)
    notes = (*(folder.notes if config.meshes else ()), *files.notes, *imported.notes)
    kept = sorted({*summary.unlabelled} & {*rows})
    summary = replace(summary, dataset=out, labelled=len(rows), kept=kept, left_out=faults, notes=notes)
    if not config.meshes:
        summary = replace(summary, meshes=len(folder.meshes), repaired={}, unread=())
    _print(config, summary if config.landmarks else replace(summary, unlabelled=()))


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


def _mesh_folder(config: ImportConfig, out: str, faults: list[Fault]) -> MeshFolder:
    """Return the meshes to import, or those of the dataset."""
    in_dataset = storage.join(out, "meshes")
    if not config.meshes:
        return read_mesh_folder(in_dataset, MESH_SUFFIXES, faults)
    uri = storage.absolute(config.meshes)
    folder = read_mesh_folder(uri, (*MESH_SUFFIXES, *foreign_suffixes()), None if config.strict else faults, skip=out)
    existing = [split_mesh_name(entry.name) for entry in storage.list_files(in_dataset)]
    known = [object_id for object_id, suffix in existing if suffix in MESH_SUFFIXES]
    refuse_alike(config.out, dict.fromkeys([*known, *folder.meshes]))
    return folder


def _landmarks(config: ImportConfig, settings: Mapping[str, Any], folder: MeshFolder, files: LandmarkFiles) -> Imported:
    """Return the landmarks of all files."""
    unit, read_unit = settings["unit"], config.landmark_unit or settings["unit"]
    reading = _reading(config, settings["landmark"], unit)
    meshes = {object_id: folder.uri_of(object_id) for object_id in folder.meshes}
    imported = import_landmarks(files.files, meshes, reading, lambda i: _space(meshes[i], config.mesh_space))
    if not imported.pairs:
        reason = f"; the first: {imported.faults[0].message}" if imported.faults else ""
        raise DataError(f"{config.landmarks}: no landmarks of any of {len(meshes)} meshes{reason}")
    _refuse_misplaced(config, _placement(imported, meshes, unit, read_unit))
    return imported


def _reading(config: ImportConfig, landmark: str, unit: str) -> Reading:
    """Return the options for reading landmark files; --left and --right are a label or three columns."""
    if {len(config.left), len(config.right)} - {0, 1, 3}:
        raise UsageError("--left, --right: expected a label, or the names of three columns x, y and z")
    left_columns, right_columns = (names if len(names) == 3 else () for names in (config.left, config.right))
    left, right = (names[0] if len(names) == 1 else None for names in (config.left, config.right))
    columns = Columns(config.object_column, config.label_column, left_columns, right_columns)
    return Reading(landmark, left, right, columns, unit, config.landmark_unit)


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


def _jobs(
    config: ImportConfig, settings: Mapping[str, Any], folder: MeshFolder, out: str, imported: Imported
) -> list[MeshJob]:
    """Return the meshes to import, or only to measure if they are in the dataset already."""
    mm, pairs = Alignment().object_from_source(settings["unit"]), imported.pairs
    return [
        MeshJob(
            object_id=object_id,
            uri=folder.uri_of(object_id),
            folder=storage.join(out, "meshes") if config.meshes else None,
            link=config.link,
            mm_from_source=mm,
            landmarks_mm=np.array(pairs[object_id]) * MM_PER_UNIT[settings["unit"]] if object_id in pairs else None,
        )
        for object_id in folder.meshes
        if config.meshes or object_id in pairs
    ]


def _import_meshes(config: ImportConfig, jobs: list[MeshJob], faults: list[Fault]) -> dict[str, ImportedMesh]:
    """Return the meshes that could be read; the others are faults."""
    progress = Progress("import-dataset", len(jobs), "meshes")
    meshes, earlier = {}, len(faults)
    with ThreadPoolExecutor(4) as pool:
        for job, result in zip(jobs, pool.map(_imported_or_fault, jobs), strict=True):
            if isinstance(result, Fault):
                _take(config, faults, [result])
            else:
                meshes[job.object_id] = result
            progress.add(1)
    progress.end()
    if not meshes:
        raise DataError(f"{config.meshes or config.out}: no mesh can be read; the first: {faults[earlier].message}")
    return meshes


def _imported_or_fault(job: MeshJob) -> ImportedMesh | Fault:
    try:
        return import_mesh(job)
    except DataError as error:
        return Fault(job.object_id, str(error).removeprefix("meshes/"))


def _remove_replaced(folder: str, meshes: Mapping[str, ImportedMesh]) -> None:
    """Delete files of an earlier import of the same objects in other formats."""
    for entry in storage.list_files(folder):
        object_id, suffix = split_mesh_name(entry.name)
        if suffix in MESH_SUFFIXES and object_id in meshes and entry.name != meshes[object_id].name:
            storage.delete(storage.join(folder, entry.name))


def _labels(
    config: ImportConfig, imported: Imported, meshes: Mapping[str, ImportedMesh], faults: list[Fault]
) -> dict[str, Any]:
    """Return the pairs whose points can be landmarks of their meshes; the others are faults."""
    pairs, earlier = {}, len(faults)
    for object_id, pair in imported.pairs.items():
        off = meshes[object_id].off if object_id in meshes else None
        strictly = off and config.strict and off.warning and f"{off.warning}; correct its points, or omit --strict"
        if off and (reason := off.why_left_out or strictly):
            _take(config, faults, [Fault(object_id, f"{object_id}: {reason}")])
        elif off:
            pairs[object_id] = pair
    if imported.pairs and not pairs:
        first = (faults[earlier:] or faults)[0]
        raise DataError(f"{config.landmarks}: no landmarks of any mesh; the first: {first.message}")
    return pairs


def _write_landmarks(imported: Imported, pairs: Mapping[str, Any], uri: str) -> list[str]:
    """Write landmarks.csv, keeping the existing rows of other objects, and return the objects of all rows."""
    earlier = storage.read_bytes(uri) if storage.exists(uri) else b""
    content, object_ids = merge_landmarks(earlier, uri, pairs, imported.extras)
    storage.write_bytes(uri, content)
    return object_ids


def _take(config: ImportConfig, faults: list[Fault], found: Iterable[Fault]) -> None:
    """Append faults; with --strict, raise the first as DataError."""
    for fault in found:
        report(None if config.strict else faults, *fault)


def _print(config: ImportConfig, summary: Summary) -> None:
    for line in summary.information:
        logger.info("%s", line)
    for line in summary.warnings:
        logger.warning("%s", line)
    advice = f"check it: featurelib validate --dataset {config.out} --out checks"
    print_result(f"{summary.dataset}: {summary.result}; {advice}", summary.to_dict())
