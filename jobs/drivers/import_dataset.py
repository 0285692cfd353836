"""A folder of meshes and other programs' landmark files -> DATASET, in the layout that all commands read.

1. Settle the unit, and the landmarks if flags or an existing dataset name them (`import_settings`).
2. Read the landmark files, and check on a few meshes that the landmarks are on the surface.
3. Read each mesh, measure its landmarks' distance from it, and copy it.
4. Settle the landmark set, write landmarks.csv, objects.csv and finally dataset.json, and print what was left out,
   repaired and not read.
"""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset_json import set_values, settings_json
from featurelib.datasets.faults import Fault, report
from featurelib.datasets.import_labels import Labels, positions, sampled_placement, write_labels
from featurelib.datasets.import_set import (
    ImportedSet,
    given_set,
    inferred_set,
    named_set,
    unpaired_set,
)
from featurelib.datasets.import_summary import Summary
from featurelib.datasets.landmark_files.importing import Imported, import_landmarks
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.placement import Placement
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.datasets.landmark_folder import LandmarkFiles, read_landmark_files
from featurelib.datasets.mesh_folder import MeshFolder, read_mesh_folder, refuse_alike
from featurelib.datasets.mesh_import import ImportedMesh, MeshJob, import_mesh
from featurelib.errors import DataError, UsageError
from featurelib.geometry import MM_PER_UNIT, SIDES, Alignment, LandmarkSet, apply
from featurelib.meshes import MESH_SUFFIXES
from featurelib.meshes.conversion import foreign_suffixes
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from featurelib.validation.pairs_sheet import pairs_sheet
from jobs.drivers.import_settings import import_settings, known_set, reading_of
from jobs.import_dataset import ImportConfig

logger = logging.getLogger(__name__)

NO_FILES, NO_LANDMARKS = LandmarkFiles([], frozenset()), Imported((), {}, {}, {}, {})


def run(config: ImportConfig) -> None:
    """Import meshes and landmarks, and print what was done."""
    out = storage.absolute(config.out)
    settings_uri = storage.join(out, "dataset.json")
    settings = import_settings(config, settings_uri)
    given = known_set(config, settings, settings_uri)
    faults: list[Fault] = []
    folder = _mesh_folder(config, out, faults)
    files = read_landmark_files(storage.absolute(config.landmarks), folder.meshes) if config.landmarks else NO_FILES
    imported = _landmarks(config, settings, folder, files) if config.landmarks else NO_LANDMARKS
    _take(config, faults, imported.faults)
    meshes = _import_meshes(config, _jobs(config, settings, folder, out, imported), faults)
    points = _labels(config, imported, meshes, faults, is_pair="landmark" in settings)
    found = _landmark_set(config, settings, given, imported, points, out)
    if config.meshes:
        _remove_replaced(storage.join(out, "meshes"), meshes)
    labels = Labels.of(found.landmarks, imported, points)
    rows = write_labels(labels, out, is_pair="landmark" in settings) if points else []
    storage.write_bytes(settings_uri, settings_json(_with_set(settings, found.landmarks)))
    summary = Summary.of(folder, meshes, points, files.uris)
    notes = (*(folder.notes if config.meshes else ()), *files.notes, *imported.notes, *found.notes)
    kept = sorted({*summary.unlabelled} & {*rows})
    summary = replace(summary, dataset=out, labelled=len(rows), kept=kept, left_out=faults, notes=notes)
    summary = replace(summary, landmarks=found.landmarks, points=labels.counts, pairs=found.pairs, doubts=found.doubts)
    if not config.meshes:
        summary = replace(summary, meshes=len(folder.meshes), repaired={}, unread=())
    _print(config, summary if config.landmarks else replace(summary, unlabelled=()))


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
    reading = reading_of(config, settings)
    read_unit = config.landmark_unit or reading.unit
    meshes = {object_id: folder.uri_of(object_id) for object_id in folder.meshes}
    imported = import_landmarks(files.files, meshes, reading, lambda i: _space(meshes[i], config.mesh_space))
    if not imported.landmarks:
        reason = f"; the first: {imported.faults[0].message}" if imported.faults else ""
        raise DataError(f"{config.landmarks}: no landmarks of any of {len(meshes)} meshes{reason}")
    _refuse_misplaced(config, sampled_placement(imported, meshes, reading.unit, read_unit))
    return imported


def _space(mesh_uri: str, otherwise: Space) -> Space:
    return mesh_space(storage.read_bytes(mesh_uri)) or otherwise


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
    mm, factor = Alignment().object_from_source(settings["unit"]), MM_PER_UNIT[settings["unit"]]
    landmarks = imported.landmarks
    return [
        MeshJob(
            object_id=object_id,
            uri=folder.uri_of(object_id),
            folder=storage.join(out, "meshes") if config.meshes else None,
            link=config.link,
            mm_from_source=mm,
            landmarks_mm=positions(landmarks[object_id]) * factor if object_id in landmarks else None,
            names=SIDES if "landmark" in settings else imported.names,
        )
        for object_id in folder.meshes
        if config.meshes or object_id in landmarks
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
    config: ImportConfig,
    imported: Imported,
    meshes: Mapping[str, ImportedMesh],
    faults: list[Fault],
    *,
    is_pair: bool,
) -> dict[str, NDArray[np.float64]]:
    """Return the landmarks (k, 3) that can be landmarks of their meshes, NaN for others; what is left out is a fault.

    Of one pair both points are left out, as half a pair is rarely what a person wants.
    """
    labels, earlier = {}, len(faults)
    for object_id, landmarks in imported.landmarks.items():
        off = meshes[object_id].off if object_id in meshes else None
        if off is None:
            continue
        strictly = config.strict and off.warning and f"{off.warning}; correct its points, or omit --strict"
        if reason := off.why_left_out or strictly:
            _take(config, faults, [Fault(object_id, f"{object_id}: {reason}")])
        points = positions(landmarks)
        points[[*off.is_left_out]] = np.nan
        if reason and is_pair:
            continue
        if np.isfinite(points).any() or object_id in imported.absent:
            labels[object_id] = points
    if imported.landmarks and not labels:
        first = (faults[earlier:] or faults)[0]
        raise DataError(f"{config.landmarks}: no landmarks of any mesh; the first: {first.message}")
    return labels


def _landmark_set(
    config: ImportConfig,
    settings: Mapping[str, Any],
    given: LandmarkSet | None,
    imported: Imported,
    points: Mapping[str, NDArray[np.float64]],
    out: str,
) -> ImportedSet:
    """Return the set that is given, or else that of the points; where pairs are inferred, draw them."""
    if given is not None:
        return given_set(given, imported.names)
    if not imported.names:
        raise UsageError(f"--pairs {config.pairs}: no points; name their files with --landmarks")
    if config.pairs != "infer":
        return unpaired_set(imported.names) if config.pairs == "none" else named_set(imported.names)
    alignment, page = Alignment.from_dict(settings.get("alignment") or {}), storage.join(out, "pairs.html")
    aligned = [apply(alignment.object_from_source(settings["unit"]), xyz) for xyz in points.values()]
    found = inferred_set(imported.names, np.array(aligned), page, is_aligned="alignment" in settings)
    if found.inference:
        storage.write_bytes(page, pairs_sheet(out, found.inference, len(points)).encode())
    return found


def _with_set(settings: Mapping[str, Any], landmarks: LandmarkSet) -> dict[str, Any]:
    """Return the settings with the set; one pair that is given by its landmark's name keeps this form."""
    return {**settings} if "landmark" in settings else {**settings, **set_values(landmarks)}


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
