"""RUN -> RUN/report: every method beside both baselines, on objects that nothing was trained on.

1. Read each projection's vectors and lifter.
2. Predict the test objects with every method; the template's registrations run on the cluster.
3. Write per_object.csv, report.json and, last, config.json; print the table.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import ray

from featurelib import cli, stages, storage
from featurelib.dataset import Dataset, open_dataset
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, SIDES
from featurelib.lifter.vectors import Vectors, read_config, read_vectors, vectors_uri
from featurelib.progress import Progress
from featurelib.records import SCHEMA_VERSION
from featurelib.report import detector_report, lifter_report, table
from featurelib.shards import Manifest, open_renders
from featurelib.template import Template, locate
from jobs import cluster
from jobs.train_lifter import mesh_names


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
    made_from: dict[str, Any] = {p: [read_config(vectors_uri(run, p)), _version(run, p)] for p in projections}
    if not stages.is_done(config_uri, made_from):
        stages.mark_begun(config_uri)
        _evaluate(run, projections, uri)
        stages.mark_done(config_uri, made_from)
    print(table(json.loads(storage.read_bytes(storage.join(uri, "report.json")))))
    print(f"\n{uri}/report.json")


def _version(run: str, projection: str) -> str:
    return sha256(storage.read_bytes(storage.join(run, "lifter", projection, "lifter.json"))).hexdigest()


def _evaluate(run: str, projections: Sequence[str], uri: str) -> None:
    cluster.connect()
    manifests = {projection: open_renders(run, projection) for projection in projections}
    report: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "objects": manifests[projections[0]].objects,
        "frame_mm": {projection: manifest.spec.frame_mm for projection, manifest in manifests.items()},
        "detector": {},
        "lifter": {},
    }
    rows: list[list[Any]] = []
    for projection, manifest in manifests.items():
        vectors = read_vectors(run, projection).where("test")
        if not len(vectors):
            raise DataError(f"{vectors_uri(run, projection)}: no objects in the test split; add objects or set `split`")
        lifted = predict_pairs.remote(run, manifest, vectors)
        dataset = open_dataset(manifest.dataset)
        template = Template.from_bytes(storage.read_bytes(storage.join(run, "lifter", projection, "template.npz")))
        by_template = _template_pairs(dataset, template, vectors, projection)
        chosen, pairs_mm = ray.get(lifted)
        pairs_mm["template"] = by_template
        report["detector"][projection] = detector_report(vectors, manifest.spec.rig)
        report["lifter"][projection] = lifter_report(pairs_mm, vectors, chosen)
        rows += _per_object(projection, vectors, pairs_mm)
    storage.write_bytes(storage.join(uri, "per_object.csv"), _csv(rows))
    storage.write_bytes(storage.join(uri, "report.json"), json.dumps(report, indent=1).encode())


@ray.remote(num_cpus=1)
def predict_pairs(run: str, manifest: Manifest, vectors: Vectors) -> tuple[str, dict[str, np.ndarray]]:
    """Return the chosen method and the landmarks (n, 2, 3) in mm that each method of the lifter gives."""
    from featurelib.lifter.model import METHODS, Lifter

    lifter = Lifter.load(run, manifest.spec.projection, manifest.spec)
    pairs_mm = {method: lifter.pairs(vectors, method) for method in METHODS}
    return lifter.chosen, {**pairs_mm, "mean_point": np.asarray(lifter.mean_mm) + vectors.centre_mm[:, None]}


def _template_pairs(dataset: Dataset, template: Template, vectors: Vectors, projection: str) -> np.ndarray:
    """Return the landmarks (n, 2, 3) in mm that the registered mean shape gives; NaN where a mesh is gone."""
    progress = Progress(f"evaluate {projection}: template", len(vectors), "objects")
    names = mesh_names(dataset, vectors.object_ids)
    small, shared = ray.put(_without_objects(dataset)), ray.put(template)
    waiting = {register.remote(small, shared, name): i for i, name in enumerate(names)}
    pairs_mm = np.full((len(names), 2, 3), np.nan)
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        pairs_mm[waiting.pop(ready)] = ray.get(ready)
        progress.add(1)
    progress.end()
    return pairs_mm


def _without_objects(dataset: Dataset) -> Dataset:
    return Dataset(dataset.uri, dataset.unit, dataset.landmark, dataset.alignment, dataset.objects.slice(0, 0))


@ray.remote(num_cpus=1)
def register(dataset: Dataset, template: Template, name: str) -> np.ndarray:
    """Return the landmarks (2, 3) in mm of one mesh by the registered mean shape."""
    mesh = dataset.load(name)
    return locate(template, mesh.vertices_mm, mesh.faces).pair_mm


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
