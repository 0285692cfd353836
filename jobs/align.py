"""DATASET -> its alignment: from axes that the user names, and object by object from one that stands as it should.

1. Settle the alignment of the whole dataset: the axes named, else what dataset.json says.
2. With --reference: turn a sample to the first of these objects and take their mean shape; settle it so that all of
   them need no turn, and turn every object to it, in children of the workers (jobs.workers.sandbox).
3. Write alignment.csv, then dataset.json; with --out a page with every object before and after, and alignment.json.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np

from featurelib.datasets.dataset import Dataset, MeshFile, Quaternion, open_dataset, write_turns
from featurelib.errors import DataError, UsageError
from featurelib.geometry import matrix_from_wxyz, rigid, wxyz_from_matrix
from featurelib.geometry.named_axes import Axis, named_rotation
from featurelib.meshes.orientation import (
    OrientationJob,
    Oriented,
    ReferenceShape,
    mean_reference_shape,
    orientation_of,
    recentred,
)
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import SandboxLimits
from featurelib.validation.alignment_sheet import Row, alignment_sheet, chosen
from featurelib.validation.dataset.drawing import Drawing, draw
from featurelib.validation.dataset.measure import MeasureJob
from jobs.workers import cluster
from jobs.workers.sandbox import map_sandboxed

logger = logging.getLogger(__name__)

SAMPLE = 48
"""Objects of the mean shape, evenly spread over the ids."""

ALIKE_DEG = 45.0
"""References farther apart cannot all stand as they should."""

DOUBTS_SHOWN = 20


@cli.config
@dataclass(frozen=True, kw_only=True)
class AlignConfig:
    """What to align, and to what.

    Attributes:
        dataset: Folder or s3:// URI of the dataset; its dataset.json and alignment.csv are written.
        front: Axis of the mesh files that points out of the face, as -y.
        up: Axis of the mesh files that points up, as +z.
        reference: Objects that stand as they should once the axes are named, to which all others are turned; five
            average out what is odd in each.
        out: Folder or s3:// URI that receives sheet.html (before and after) and alignment.json; default: none.
        dry_run: Only say what would be written.
        object_timeout: Time limit for one object, in seconds.
        object_memory_mb: Memory limit for one object, in MB.
    """

    dataset: str
    front: Annotated[Axis | None, cli.hyphened] = None
    up: Annotated[Axis | None, cli.hyphened] = None
    reference: tuple[str, ...] = ()
    out: str | None = None
    dry_run: bool = False
    object_timeout: float = 120.0
    object_memory_mb: int = 8192

    @property
    def child_limits(self) -> SandboxLimits:
        """What a process that reads meshes may use."""
        return SandboxLimits(seconds=self.object_timeout, memory_mb=self.object_memory_mb)


def align(config: AlignConfig) -> None:
    """Propose how a dataset's meshes have to be turned: face towards +z, up along +y. Left stays left.

    Name the axes if all files stand alike; name an object that stands right if they do not. Objects of which it is
    not sure are named: look at them on the sheet.

    Example: featurelib align --dataset heads --front -y --up +z --reference head-1 head-2 --out checks
    """
    uri = storage.absolute(config.dataset)
    dataset = open_dataset(uri, labelled=False)
    rotation = named_rotation(config.front, config.up)
    if rotation is None and not config.reference:
        raise UsageError("nothing to align to: name axes (--front -y --up +z), an object (--reference ID) or both")
    if rotation:
        dataset = replace(dataset, alignment=replace(dataset.alignment, rotations_wxyz=(rotation,)))
    found = _turns_to(config, dataset) if config.reference else {}
    rows = _rows(found)
    if config.out:
        _write_sheet(config, dataset, found, rows)
    if not config.dry_run:
        _write(dataset, uri, found)
    _say(config, uri, dataset, rows)


def _turns_to(config: AlignConfig, dataset: Dataset) -> dict[str, Oriented]:
    """Return how every object has to be turned to stand as the references do, which stay as they are."""
    files = dataset.files
    for object_id in config.reference:
        if object_id not in files:
            raise UsageError(f"--reference {object_id}: no such object in {dataset.uri}, as {next(iter(files))}")
    to_object = dataset.object_from_source
    jobs = {i: OrientationJob(i, dataset.mesh_uri(file.name), to_object) for i, file in files.items()}
    upright = ReferenceShape.of(dataset.load(MeshFile(files[config.reference[0]].name)))
    references = [jobs.pop(object_id) for object_id in dict.fromkeys(config.reference)]
    cluster.connect()
    return find_orientations(config.child_limits, [*jobs.values()], references, upright)


def find_orientations(
    limits: SandboxLimits, jobs: Sequence[OrientationJob], references: Sequence[OrientationJob], upright: ReferenceShape
) -> dict[str, Oriented]:
    """Return how objects have to be turned to stand as some do; those without an answer are said and left out.

    Args:
        limits: of the processes that read meshes.
        jobs: the objects.
        references: those that stand as they should.
        upright: the first of them.
    """
    count = min(len(jobs), SAMPLE)
    sample = [*references, *(jobs[i * len(jobs) // count] for i in range(count))]
    turned = _found(map_sandboxed(limits, "align: mean shape", orientation_of, _to(upright, sample)))
    if not turned:
        raise DataError("none of the objects can be turned to the reference; is it the same kind of object?")
    mean = mean_reference_shape(upright, [*turned.values()])
    known = _found(map_sandboxed(limits, "align: references", orientation_of, _to(mean, references)))
    for object_id, one in known.items():
        if one.turn_deg > ALIKE_DEG:
            others = f"{one.turn_deg:.0f} degrees away from {references[0].object_id}"
            raise DataError(f"--reference {object_id}: stands {others}; name objects that all stand as they should")
    mean = recentred(mean, [*known.values()]) if known else mean
    return _found(map_sandboxed(limits, "align", orientation_of, _to(mean, jobs)), say_lost=True)


def _to(upright: ReferenceShape, jobs: Sequence[OrientationJob]) -> list[OrientationJob]:
    return [replace(job, upright=upright) for job in jobs]


def _found(answers: Sequence[tuple[OrientationJob, Any]], *, say_lost: bool = False) -> dict[str, Oriented]:
    for job, answer in answers:
        if say_lost and not isinstance(answer, Oriented):
            logger.info("align: %s stays as it is: %s", job.object_id, answer)
    return {job.object_id: answer for job, answer in answers if isinstance(answer, Oriented)}


def _rows(found: dict[str, Oriented]) -> list[Row]:
    usual = float(np.median([turned.residual for turned in found.values()])) if found else 0.0
    return [Row(i, turned.turn_deg, 100 * turned.residual, turned.doubt(usual)) for i, turned in sorted(found.items())]


def _quaternion(turned: Oriented) -> Quaternion:
    w, x, y, z = wxyz_from_matrix(turned.rotation).tolist()
    return w, x, y, z


def _write(dataset: Dataset, uri: str, found: dict[str, Oriented]) -> None:
    """Write the turns first: without them the new dataset.json alone would be right for nobody."""
    turns = storage.join(uri, "alignment.csv")
    if found:
        storage.write_bytes(turns, write_turns({i: _quaternion(turned) for i, turned in found.items()}))
    elif storage.exists(turns):
        logger.info("align: %s was of the old axes and is removed", turns)
        storage.delete(turns)
    settings = storage.join(uri, "dataset.json")
    values = {**json.loads(storage.read_bytes(settings)), "alignment": dataset.alignment.to_dict()}
    storage.write_bytes(settings, f"{json.dumps(values, indent=2)}\n".encode())


def _write_sheet(config: AlignConfig, dataset: Dataset, found: dict[str, Oriented], rows: Sequence[Row]) -> None:
    """Draw objects before and after, and write the page beside the numbers."""
    out, files = storage.absolute(str(config.out)), dataset.files
    shown = [row.object_id for row in chosen(rows)] or [*files][:60]
    to_object = dataset.object_from_source
    before = [MeasureJob(i, dataset.mesh_uri(files[i].name), to_object) for i in shown]
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
    logger.info("align: before and after in %s", storage.join(out, "sheet.html"))


def _say(config: AlignConfig, uri: str, dataset: Dataset, rows: Sequence[Row]) -> None:
    doubted = [row for row in rows if row.doubt]
    for row in doubted[:DOUBTS_SHOWN]:
        logger.info(str(row))
    if len(doubted) > DOUBTS_SHOWN:
        logger.info("and %s more that are not sure, in alignment.json (--out)", len(doubted) - DOUBTS_SHOWN)
    what = "would be aligned" if config.dry_run else "aligned"
    turned = f", {len(rows)} objects turned, {len(doubted)} of them not sure" if config.reference else ""
    print_result(
        f"{uri}: {what}{turned}; check it: featurelib validate --dataset {config.dataset} --out checks",
        {
            "dataset": uri,
            "alignment": dataset.alignment.to_dict(),
            "turned": len(rows),
            "not_sure": [asdict(row) for row in doubted],
            "is_written": not config.dry_run,
        },
    )


if __name__ == "__main__":
    cli.run(cli.single_command(align, "align"))
