"""DATASET -> findings: is it fit to train on? Asked before any compute.

1. Read the table; single bad rows and files are findings, not the end.
2. Make the mean shape of a sample, then measure every object against it, in tasks of a few objects (checks.measure).
3. Apply the rules to the rows, and print one line a finding.
4. With --out: draw the objects of the contact sheet, and write it beside the findings.
"""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import ray

from featurelib import cli, storage
from featurelib.checks.drawing import Drawing, draw
from featurelib.checks.finding import Finding
from featurelib.checks.measure import (
    MeasureJob,
    Measurement,
    ReferenceJob,
    Unread,
    measure,
    measure_reference,
)
from featurelib.checks.reference import REFERENCE_SAMPLE, Reference
from featurelib.checks.rules import check
from featurelib.checks.sheet import chosen, sheet
from featurelib.checks.summary import summary, table, verdict
from featurelib.checks.survey import Survey
from featurelib.dataset import Dataset, Fault, open_dataset
from featurelib.geometry import apply
from featurelib.isolation import Child, ChildLimits, LostError
from featurelib.progress import Progress, say, say_result
from jobs import cluster
from jobs.estimates import gathered

Item = TypeVar("Item")
Result = TypeVar("Result")

OBJECTS_AT_ONCE = 16
"""Objects a task: two seconds of one core."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """What to check.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json, meshes/ and, unless it is for `predict`, landmarks.csv.
        out: Folder or s3:// URI that receives sheet.html (the contact sheet) and findings.json; default: none.
        object_seconds: Time limit for one object, in seconds.
        object_memory_mb: Memory limit for one object, in MB.
    """

    dataset: str
    out: str | None = None
    object_seconds: float = 120.0
    object_memory_mb: int = 8192

    @property
    def child_limits(self) -> ChildLimits:
        """What a process that reads meshes may use."""
        return ChildLimits(seconds=self.object_seconds, memory_mb=self.object_memory_mb)


def validate(config: ValidateConfig) -> None:
    """Check a dataset before any compute: files, units, axes, labels, duplicates and the split.

    Ends with code 0 if there are no errors (there may be warnings), 1 if there are, 2 on bad usage.

    Example: featurelib validate --dataset heads --out checks/heads
    """
    survey = _survey(config)
    findings = check(survey)
    values = summary(survey, findings)
    say_result("\n".join([*table(findings), verdict(survey, findings)]), values)
    if config.out is None:
        say("validate: no contact sheet was made; --out DIR makes one")
    else:
        _write(config, survey, findings, values)
    if values["counts"]["error"]:
        raise SystemExit(1)


def _survey(config: ValidateConfig) -> Survey:
    """Measure the whole dataset."""
    uri = storage.absolute(config.dataset)
    is_labelled = storage.exists(storage.join(uri, "landmarks.csv"))
    faults: list[Fault] = []
    dataset = open_dataset(uri, labelled=is_labelled, faults=faults)
    files = [entry.name for entry in storage.list_files(storage.join(uri, "meshes"))]
    cluster.connect()
    reference = _reference(config, dataset)
    jobs = [replace(job, reference=reference) for job in _jobs(dataset)]
    rows = _in_children(config, "validate", measure, jobs)
    outcomes = [Unread(job.object_id, str(row)) if isinstance(row, LostError) else row for job, row in rows]
    measured = [row for row in outcomes if isinstance(row, Measurement)]
    unread = [row for row in outcomes if isinstance(row, Unread)]
    return Survey(dataset, is_labelled, faults, files, measured, unread, reference)


def _jobs(dataset: Dataset) -> list[MeasureJob]:
    """Return the objects with a mesh file, in the table's order."""
    to_object = dataset.object_from_source
    return [
        MeasureJob(
            object_id=row["object_id"],
            mesh_uri=dataset.mesh_uri(row["mesh"]),
            object_from_source=to_object,
            pair_mm=apply(to_object, [row["left"], row["right"]]) if row["left"] else None,
        )
        for row in dataset.objects.to_pylist()
        if row["mesh"]
    ]


def _reference(config: ValidateConfig, dataset: Dataset) -> Reference | None:
    """Return the mean shape of an even sample of the objects."""
    uris = [dataset.mesh_uri(name) for name in dataset.objects["mesh"].to_pylist() if name]
    count = min(len(uris), REFERENCE_SAMPLE)
    sample = [uris[i * len(uris) // count] for i in range(count)]
    job = ReferenceJob(sample, dataset.object_from_source)
    (found,) = ray.get(work_in_child.remote(config.child_limits, measure_reference, [job]))
    if isinstance(found, LostError):
        say(f"validate: no object is compared with the others: {found}")
        return None
    return found


def _in_children(
    config: ValidateConfig, task: str, work: Callable[[Item], Result], items: Sequence[Item]
) -> list[tuple[Item, Result | LostError]]:
    """Return the items with the results of some work on them, done on the cluster in processes that may be lost."""
    parts = [items[i : i + OBJECTS_AT_ONCE] for i in range(0, len(items), OBJECTS_AT_ONCE)]
    limits, progress = config.child_limits, Progress(task, len(items), "objects")
    answers = gathered(lambda part: work_in_child.remote(limits, work, part), parts, len, progress)
    return list(zip(items, chain.from_iterable(answers), strict=True))


@ray.remote(num_cpus=1)
def work_in_child(limits: ChildLimits, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Any]:
    """Return the result of some work on each item, or how its process was lost."""
    return list(_child(limits).map(work, items))


@functools.cache
def _child(limits: ChildLimits) -> Child:
    """Return this worker's process for meshes, which lives from task to task."""
    return Child(limits, preload=["featurelib.checks.warm"])


def _write(config: ValidateConfig, survey: Survey, findings: Sequence[Finding], values: dict[str, Any]) -> None:
    """Write the contact sheet and the findings, the flags last."""
    out = storage.absolute(str(config.out))
    shown = chosen(survey, findings)
    wanted = {*shown[0], *shown[1]}
    jobs = [job for job in _jobs(survey.dataset) if job.object_id in wanted]
    drawn = (drawing for _, drawing in _in_children(config, "contact sheet", draw, jobs))
    drawings = {drawing.object_id: drawing for drawing in drawn if isinstance(drawing, Drawing)}
    files = {
        "sheet.html": sheet(survey, findings, shown, drawings),
        "findings.json": json.dumps(values, indent=1),
        "config.json": json.dumps(asdict(config), indent=1),
    }
    for name, text in files.items():
        storage.write_bytes(storage.join(out, name), text.encode())
    say(f"validate: contact sheet in {storage.join(out, 'sheet.html')}")


if __name__ == "__main__":
    cli.run(cli.single_command(validate, "validate"))
