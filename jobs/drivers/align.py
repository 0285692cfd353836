"""Align a dataset: to axes that the user names, and object by object to references with the correct orientation.

1. Take the alignment of the whole dataset from the named axes, or from dataset.json without them.
2. With --reference: register a sample to the first of these objects and take the mean shape. Rotate the mean shape so
   that the references need no rotation on average, and find the rotation of every other object relative to it. Meshes
   are read in sandboxed processes of the workers (jobs.workers.sandbox).
3. Write alignment.csv, then dataset.json. With --out also write a page with images of every object before and after,
   and alignment.json.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from featurelib.datasets.alignment_table import Quaternion, write_rotations
from featurelib.datasets.dataset import Dataset, MeshFile, open_dataset
from featurelib.datasets.dataset_json import settings_json
from featurelib.errors import DataError, UsageError
from featurelib.geometry import matrix_from_wxyz, rigid, wxyz_from_matrix
from featurelib.geometry.named_axes import named_rotation
from featurelib.meshes.orientation import (
    OrientationJob,
    Oriented,
    mean_reference_shape,
    orientation_of,
    recentred,
)
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import SandboxLimits
from featurelib.validation.alignment_sheet import Row, alignment_sheet, chosen
from featurelib.validation.dataset.drawing import Drawing, draw
from featurelib.validation.dataset.measure import MeasureJob
from jobs.align import AlignConfig
from jobs.workers import cluster
from jobs.workers.sandbox import map_sandboxed

logger = logging.getLogger(__name__)

SAMPLE = 48
"""Objects in the mean shape, evenly spread over the ids."""

MAX_REFERENCE_ANGLE_DEG = 45.0
"""References that differ by more than this cannot all have the correct orientation."""

FLAGGED_SHOWN = 20
"""Flagged objects that are printed."""


def run(config: AlignConfig) -> None:
    """Find the rotations, write them and print which objects need a review."""
    uri = storage.absolute(config.dataset)
    dataset = open_dataset(uri, labelled=False)
    rotation = named_rotation(config.front, config.up)
    if rotation is None and not config.reference:
        raise UsageError("nothing to align to: name axes (--front -y --up +z), an object (--reference ID) or both")
    if rotation:
        dataset = replace(dataset, alignment=replace(dataset.alignment, rotations_wxyz=(rotation,)))
    found = _orientations(config, dataset) if config.reference else {}
    rows = _rows(found)
    if config.out:
        _write_sheet(config, dataset, found, rows)
    if not config.dry_run:
        _write(dataset, uri, found)
    _report(config, uri, dataset, rows)


def _orientations(config: AlignConfig, dataset: Dataset) -> dict[str, Oriented]:
    """Return the rotation of every object relative to the references, which keep their orientation."""
    files = dataset.files
    for object_id in config.reference:
        if object_id not in files:
            raise UsageError(
                f"--reference {object_id}: no such object in {dataset.uri}; expected an id such as {next(iter(files))}"
            )
    to_object = dataset.object_from_source
    jobs = {i: OrientationJob(i, dataset.mesh_uri(file.name), to_object) for i, file in files.items()}
    first = ReferenceShape.of(dataset.load(MeshFile(files[config.reference[0]].name)))
    references = [jobs.pop(object_id) for object_id in dict.fromkeys(config.reference)]
    cluster.connect()
    return find_orientations(config.child_limits, [*jobs.values()], references, first)


def find_orientations(
    limits: SandboxLimits, jobs: Sequence[OrientationJob], references: Sequence[OrientationJob], first: ReferenceShape
) -> dict[str, Oriented]:
    """Return the rotation of objects relative to references; objects without a result are reported and omitted.

    Args:
        limits: of the processes that read meshes.
        jobs: the objects.
        references: objects with the correct orientation.
        first: the shape of the first reference.

    Raises:
        DataError: if no object can be registered to the first reference, or the references' orientations differ.
    """
    count = min(len(jobs), SAMPLE)
    sample = [*references, *(jobs[i * len(jobs) // count] for i in range(count))]
    registered = _found(map_sandboxed(limits, "align: mean shape", orientation_of, _to(first, sample)))
    if not registered:
        raise DataError(
            f"--reference {references[0].object_id}: no object can be registered to it; name an object of the same kind"
        )
    mean = mean_reference_shape(first, [*registered.values()])
    known = _found(map_sandboxed(limits, "align: references", orientation_of, _to(mean, references)))
    for object_id, one in known.items():
        if one.angle_deg > MAX_REFERENCE_ANGLE_DEG:
            difference = f"differs from {references[0].object_id} by {one.angle_deg:.0f} degrees"
            raise DataError(f"--reference {object_id}: {difference}; name only objects with the correct orientation")
    mean = recentred(mean, [*known.values()]) if known else mean
    return _found(map_sandboxed(limits, "align", orientation_of, _to(mean, jobs)), report_lost=True)


def _to(reference: ReferenceShape, jobs: Sequence[OrientationJob]) -> list[OrientationJob]:
    return [replace(job, reference=reference) for job in jobs]


def _found(results: Sequence[tuple[OrientationJob, Any]], *, report_lost: bool = False) -> dict[str, Oriented]:
    for job, result in results:
        if report_lost and not isinstance(result, Oriented):
            logger.info(f"align: {job.object_id} is not rotated: {result}")
    return {job.object_id: result for job, result in results if isinstance(result, Oriented)}


def _rows(found: dict[str, Oriented]) -> list[Row]:
    typical = float(np.median([one.residual for one in found.values()])) if found else 0.0
    return [Row(i, one.angle_deg, 100 * one.residual, one.review_reason(typical)) for i, one in sorted(found.items())]


def _quaternion(oriented: Oriented) -> Quaternion:
    w, x, y, z = wxyz_from_matrix(oriented.rotation).tolist()
    return w, x, y, z


def _write(dataset: Dataset, uri: str, found: dict[str, Oriented]) -> None:
    """Write the rotations first: the new dataset.json is wrong without them."""
    rotations = storage.join(uri, "alignment.csv")
    if found:
        storage.write_bytes(rotations, write_rotations({i: _quaternion(one) for i, one in found.items()}))
    elif storage.exists(rotations):
        logger.info(f"align: {rotations} is removed, because its rotations belong to the old axes")
        storage.delete(rotations)
    settings = storage.join(uri, "dataset.json")
    values = {**json.loads(storage.read_bytes(settings)), "alignment": dataset.alignment.to_dict()}
    storage.write_bytes(settings, settings_json(values))


def _write_sheet(config: AlignConfig, dataset: Dataset, found: dict[str, Oriented], rows: Sequence[Row]) -> None:
    """Draw objects before and after, and write the page and the numbers."""
    out, files = storage.absolute(str(config.out)), dataset.files
    shown = [row.object_id for row in chosen(rows)] or [*files][:60]
    to_object = dataset.object_from_source
    before = [MeasureJob(i, dataset.mesh_uri(files[i].name), to_object, dataset.landmarks) for i in shown]
    after = [
        replace(job, object_from_source=rigid(matrix_from_wxyz(_quaternion(found[job.object_id]))) @ to_object)
        for job in before
        if job.object_id in found
    ]
    cluster.connect()
    drawn = [
        {
            job.object_id: drawing
            for job, drawing in map_sandboxed(config.child_limits, f"align: sheet, {name}", draw, jobs)
            if isinstance(drawing, Drawing)
        }
        for name, jobs in (("before", before), ("after", after))
    ]
    listed = rows or [Row(i, 0.0, 0.0) for i in shown]
    page = alignment_sheet(f"Alignment of {dataset.uri}", listed, *drawn)
    values = {"config": asdict(config), "objects": [asdict(row) for row in rows]}
    storage.write_bytes(storage.join(out, "sheet.html"), page.encode())
    storage.write_bytes(storage.join(out, "alignment.json"), json.dumps(values, indent=1).encode())
    logger.info(f"align: images before and after are in {storage.join(out, 'sheet.html')}")


def _report(config: AlignConfig, uri: str, dataset: Dataset, rows: Sequence[Row]) -> None:
    flagged = [row for row in rows if row.review_reason]
    for row in flagged[:FLAGGED_SHOWN]:
        logger.info(str(row))
    if len(flagged) > FLAGGED_SHOWN:
        logger.info(
            f"{len(flagged) - FLAGGED_SHOWN} more objects are flagged for review; alignment.json (--out) lists all"
        )
    verb = "would be aligned" if config.dry_run else "aligned"
    counts = f", {len(rows)} objects rotated, {len(flagged)} of them flagged for review" if config.reference else ""
    print_result(
        f"{uri}: {verb}{counts}; check it: featurelib validate --dataset {config.dataset} --out checks",
        {
            "dataset": uri,
            "alignment": dataset.alignment.to_dict(),
            "rotated": len(rows),
            "flagged": [asdict(row) for row in flagged],
            "is_written": not config.dry_run,
        },
    )
