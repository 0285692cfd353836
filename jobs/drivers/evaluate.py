"""RUN -> RUN/report: errors of all methods and of both baselines on test objects, which took no part in training.

1. For each projection, run all methods on its test objects: those on detections alone, and those that use the mesh.
2. Check how often the chosen method's regions contain the landmark, and whether the splits share objects.
3. Write per_object.csv, report.json, report.html and, last, config.json; print the table.
"""

import json
from typing import Any

from featurelib.datasets.annotation_history import read_marks
from featurelib.datasets.shards import open_renders, refuse_other_version, renders_uri
from featurelib.datasets.splits import warn_of_few_objects
from featurelib.errors import DataError
from featurelib.evaluation import table
from featurelib.geometry import PROJECTIONS
from featurelib.models.detector.files import start_of
from featurelib.models.lifter.files import is_trained, lifter_version
from featurelib.models.lifter.vectors import read_config, refuse_gathered, vectors_uri
from featurelib.models.refiner.files import current_version
from featurelib.runtime import completion, storage
from featurelib.runtime.console import print_result
from jobs.drivers.evaluated import evaluated, write_report
from jobs.evaluate import EvaluateConfig


def run(config: EvaluateConfig) -> None:
    """Write the report, if its inputs are new, and print its table."""
    run = storage.absolute(config.run)
    projections = [p for p in PROJECTIONS if is_trained(run, p)]
    if not projections:
        raise DataError(f"{run}: no trained lifter; run `featurelib train-lifter`")
    for projection in projections:
        refuse_other_version(renders_uri(run, projection))
        refuse_gathered(run, projection)
    uri = storage.join(run, "report")
    config_uri = storage.join(uri, "config.json")
    refiners: dict[str, str | None] = {projection: current_version(run, projection) for projection in projections}
    made_from: dict[str, Any] = {
        p: [read_config(vectors_uri(run, p)), lifter_version(run, p), refiners[p]] for p in projections
    }
    marks = read_marks(open_renders(run, projections[0]).dataset)
    if num_repeats := sum(mark.event == "repeat" for mark in marks):
        made_from["repeats"] = num_repeats
    if not completion.is_complete(config_uri, made_from):
        completion.invalidate(config_uri)
        parts = [evaluated(run, projection, version) for projection, version in refiners.items()]
        write_report(parts, uri, {"objects": parts[0].manifest.objects}, _earlier_points(run, projections[0]))
        completion.mark_complete(config_uri, made_from)
    report = json.loads(storage.read_bytes(storage.join(uri, "report.json")))
    if open_renders(run, projections[0]).splits is None:
        warn_of_few_objects("evaluate", report["objects"])
    print_report(uri, report)


def _earlier_points(run: str, projection: str) -> list[dict[str, Any]]:
    """Return the learning curve of the run that the training of a projection started from; empty without a report."""
    start = start_of(run, projection)
    uri = start and storage.join(start, "report", "report.json")
    curve = json.loads(storage.read_bytes(uri)).get("learning_curve") if uri and storage.exists(uri) else None
    return list(curve["points"]) if curve else []


def print_report(uri: str, report: dict[str, Any]) -> None:
    """Print the table of the report in the folder `uri`."""
    print_result(f"{table(report)}\n\n{uri}/report.json\n{uri}/report.html", {"uri": uri, **report})
