"""DATASET -> findings: checks of a dataset before any training.

1. Read the table; single bad rows and files are findings, not errors.
2. Build the mean shape of a sample, then compare each object with it, in tasks of a few objects.
3. Apply the rules to the measurements, and print one line per finding.
4. With --out: draw the objects of the contact sheet, and write it together with the findings.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.faults import Fault
from featurelib.geometry import apply
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import ProcessLostError
from featurelib.validation.dataset.drawing import Drawing, draw
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.measure import (
    MeasureJob,
    Measurement,
    Unread,
    measure,
)
from featurelib.validation.dataset.rules import check
from featurelib.validation.dataset.sheet import chosen, sheet
from featurelib.validation.dataset.summary import summary, table, verdict
from featurelib.validation.dataset.survey import Survey
from jobs.validate import ValidateConfig
from jobs.workers import cluster
from jobs.workers.reference import sample_reference
from jobs.workers.sandbox import map_sandboxed

logger = logging.getLogger(__name__)


def run(config: ValidateConfig) -> None:
    """Print the findings and write the contact sheet.

    Raises:
        SystemExit: with code 1, if a finding is an error.
    """
    survey = _survey(config)
    findings = check(survey)
    values = summary(survey, findings)
    print_result("\n".join([*table(findings), verdict(survey, findings)]), values)
    if config.out is None:
        logger.info("validate: no contact sheet was written; --out DIR writes one")
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
    rows = map_sandboxed(config.child_limits, "validate", measure, jobs)
    outcomes = [Unread(job.object_id, str(row)) if isinstance(row, ProcessLostError) else row for job, row in rows]
    measured = [row for row in outcomes if isinstance(row, Measurement)]
    unread = [row for row in outcomes if isinstance(row, Unread)]
    return Survey(dataset, is_labelled, faults, files, measured, unread, reference)


def _jobs(dataset: Dataset) -> list[MeasureJob]:
    """Return the jobs of all objects with a mesh file, in the order of the table."""
    return [_job(dataset, row) for row in dataset.objects.to_pylist() if row["mesh"]]


def _job(dataset: Dataset, row: dict[str, Any]) -> MeasureJob:
    to_object = dataset.object_from_source_of(row["rotation_wxyz"])
    points = np.reshape(row["landmarks"], (-1, 3)) if row["landmarks"] else np.full((1, 3), np.nan)
    landmarks_mm = None if np.isnan(points).all() else apply(to_object, points)
    return MeasureJob(row["object_id"], dataset.mesh_uri(row["mesh"]), to_object, dataset.landmarks, landmarks_mm)


def _reference(config: ValidateConfig, dataset: Dataset) -> ReferenceShape | None:
    """Return the mean shape of a sample of the objects; None, with a warning, if there is none."""
    found = sample_reference(config.child_limits, dataset)
    if isinstance(found, ProcessLostError):
        logger.warning("validate: objects are not compared with each other: %s", found)
        return None
    return found


def _write(config: ValidateConfig, survey: Survey, findings: Sequence[Finding], values: dict[str, Any]) -> None:
    """Write the contact sheet, the findings and finally the flags."""
    out = storage.absolute(str(config.out))
    shown = chosen(survey, findings)
    chosen_ids = {*shown[0], *shown[1]}
    jobs = [job for job in _jobs(survey.dataset) if job.object_id in chosen_ids]
    drawn = (drawing for _, drawing in map_sandboxed(config.child_limits, "contact sheet", draw, jobs))
    drawings = {drawing.object_id: drawing for drawing in drawn if isinstance(drawing, Drawing)}
    files = {
        "sheet.html": sheet(survey, findings, shown, drawings),
        "findings.json": json.dumps(values, indent=1),
        "config.json": json.dumps(asdict(config), indent=1),
    }
    for name, text in files.items():
        storage.write_bytes(storage.join(out, name), text.encode())
    logger.info("validate: contact sheet in %s", storage.join(out, "sheet.html"))
