"""RUN -> RUN/report: every method beside both baselines, on objects that nothing was trained on.

1. Read each projection's vectors, lifter and, where there is one, refiner.
2. Predict the test objects with every method; registrations and refinements run on the cluster.
3. Write per_object.csv, report.json and, last, config.json; print the table.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from featurelib import cli, stages, storage
from featurelib.closeup.files import read_numbers, refiner_uri
from featurelib.dataset import Dataset, open_dataset
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, SIDES
from featurelib.lifter.vectors import Vectors, read_config, read_vectors, vectors_uri
from featurelib.records import SCHEMA_VERSION
from featurelib.report import detector_report, lifter_report, table
from featurelib.shards import open_renders
from jobs import cluster
from jobs.estimates import (
    lifter_pairs,
    lifter_version,
    mesh_files,
    read_template,
    refined_pairs,
    template_pairs,
    whole_refiner,
)


@cli.config
@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What to evaluate.

    Attributes:
        run: Folder or s3:// URI of the run.
    """

    run: str


def evaluate(config: EvaluateConfig) -> None:
    """Measure everything on held-out objects and write the report.

    Example: featurelib evaluate --run runs/heads
    """
    run = storage.absolute(config.run)
    projections = [p for p in PROJECTIONS if storage.exists(storage.join(run, "lifter", p, "config.json"))]
    if not projections:
        raise DataError(f"{run}: no trained lifter; run `featurelib train-lifter`")
    uri = storage.join(run, "report")
    config_uri = storage.join(uri, "config.json")
    refiners: dict[str, str | None] = {projection: whole_refiner(run, projection) for projection in projections}
    made_from: dict[str, Any] = {
        p: [read_config(vectors_uri(run, p)), lifter_version(run, p), refiners[p]] for p in projections
    }
    if not stages.is_done(config_uri, made_from):
        stages.mark_begun(config_uri)
        _evaluate(run, refiners, uri)
        stages.mark_done(config_uri, made_from)
    print(table(json.loads(storage.read_bytes(storage.join(uri, "report.json")))))
    print(f"\n{uri}/report.json")


def _evaluate(run: str, refiners: Mapping[str, str | None], uri: str) -> None:
    """Write the report of the projections, each with the version of its refiner, if it has one."""
    cluster.connect()
    manifests = {projection: open_renders(run, projection) for projection in refiners}
    report: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "objects": next(iter(manifests.values())).objects,
        "frame_mm": {projection: manifest.spec.frame_mm for projection, manifest in manifests.items()},
        "detector": {},
        "lifter": {},
    }
    rows: list[list[Any]] = []
    for projection, manifest in manifests.items():
        vectors = read_vectors(run, projection).where("test")
        if not len(vectors):
            raise DataError(f"{vectors_uri(run, projection)}: no objects in the test split; add objects or set `split`")
        lifted = lifter_pairs.remote(run, manifest, vectors, all_methods=True)
        dataset = open_dataset(manifest.dataset)
        meshes, template = mesh_files(dataset, vectors.object_ids), read_template(run, projection)
        by_template = template_pairs(f"evaluate {projection}", dataset, template, meshes)
        chosen, pairs_mm = ray.get(lifted)
        pairs_mm["template"] = by_template
        if version := refiners[projection]:
            refined_mm = _add_refined(run, projection, version, dataset, meshes, pairs_mm)
            chosen = "refined" if refined_mm < _lifter_error_mm(run, projection) else chosen
        report["detector"][projection] = detector_report(vectors, manifest.spec.rig)
        report["lifter"][projection] = lifter_report(pairs_mm, vectors, chosen)
        rows += _per_object(projection, vectors, pairs_mm)
    storage.write_bytes(storage.join(uri, "per_object.csv"), _csv(rows))
    storage.write_bytes(storage.join(uri, "report.json"), json.dumps(report, indent=1).encode())


def _add_refined(
    run: str, projection: str, version: str, dataset: Dataset, meshes: Sequence[str], pairs_mm: dict[str, np.ndarray]
) -> float:
    """Add what the refiner makes of its own first estimate, and return its mean error on validation objects in mm."""
    uri = refiner_uri(run, projection)
    numbers = read_numbers(uri)
    starts_mm = pairs_mm[numbers["start"]]
    pairs_mm["refined"] = refined_pairs(f"evaluate {projection}", dataset, uri, version, meshes, starts_mm)
    return float(numbers["validation_mm"]["refined"])


def _lifter_error_mm(run: str, projection: str) -> float:
    """Return the mean error on validation objects of the lifter's chosen method."""
    numbers = json.loads(storage.read_bytes(storage.join(run, "lifter", projection, "lifter.json")))
    return float(numbers["validation_mm"][numbers["chosen"]])


def _per_object(projection: str, vectors: Vectors, pairs_mm: Mapping[str, np.ndarray]) -> list[list[Any]]:
    return [
        [object_id, projection, method, side, *(f"{value:.4f}" for value in found[i, k]), f"{error:.4f}"]
        for method, found in pairs_mm.items()
        for i, object_id in enumerate(vectors.object_ids)
        for k, side in enumerate(SIDES)
        for error in [np.linalg.norm(found[i, k] - vectors.pair_mm[i, k])]
    ]


def _csv(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["object_id", "projection", "method", "side", "x_mm", "y_mm", "z_mm", "error_mm"])
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    cli.run(cli.single_command(evaluate, "evaluate"))
