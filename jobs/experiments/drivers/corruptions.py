"""`python -m jobs.experiments corruptions`: whether a run rejects corrupted objects, or accepts wrong predictions.

Test objects are corrupted in each way of `featurelib.evaluation.corruptions`, and `predict` gets them as a user's own.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import open_renders
from featurelib.evaluation.corruptions import KINDS
from featurelib.geometry import SIDES
from featurelib.meshes.writers.ply import ply
from featurelib.models.lifter.vectors import Vectors, read_vectors, refuse_empty_splits
from featurelib.models.prediction_parts import read_predictions
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.experiments.corruptions import CorruptionsConfig
from jobs.predict import PredictConfig, predict
from jobs.workers.inference import mesh_files


class Outcome(NamedTuple):
    """One corrupted object: the error of each landmark (NaN without a prediction), and whether it was accepted."""

    kind: str
    object_id: str
    errors_mm: np.ndarray
    accepted: bool
    reason: str


def run(config: CorruptionsConfig) -> None:
    """Predict the corrupted objects, and print the table."""
    manifest = open_renders(config.run, config.projection)
    vectors = read_vectors(config.run, config.projection).where("test")
    refuse_empty_splits(config.run, config.projection, vectors, ("test",))
    with tempfile.TemporaryDirectory() as folder:
        truths = write_corrupted(config, manifest.dataset, vectors, Path(folder, "corrupted"))
        out = str(Path(folder, "out"))
        predict(
            PredictConfig(dataset=str(Path(folder, "corrupted")), run=config.run, out=out, projection=config.projection)
        )
        table = read_predictions(out)
    outcomes = [_outcome(row, *truths[row["object_id"]]) for row in table.to_pylist()]
    print_outcomes(config, sorted(outcomes, key=lambda outcome: list(KINDS).index(outcome.kind)))


def write_corrupted(
    config: CorruptionsConfig, dataset_uri: str, vectors: Vectors, folder: Path
) -> dict[str, tuple[str, str, np.ndarray]]:
    """Write a dataset of corrupted objects in mm, object frame; return kind, object id and truth (2, 3) by its id."""
    dataset = open_dataset(dataset_uri)
    meshes = mesh_files(dataset, vectors.object_ids)
    truths = {}
    for number, (kind, corrupt) in enumerate(KINDS.items()):
        for k in range(config.each):
            i = (number * config.each + k) % len(vectors)
            mesh, landmarks_mm = corrupt(dataset.load(meshes[i]), vectors.landmarks_mm[i])
            name = f"{number:02d}-{k:02d}"
            storage.write_bytes(str(folder / "meshes" / f"{name}.ply"), ply(mesh.vertices_mm, mesh.faces))
            truths[name] = kind, str(vectors.object_ids[i]), landmarks_mm
    settings = {"unit": "mm", "landmark": dataset.landmark}
    storage.write_bytes(str(folder / "dataset.json"), json.dumps(settings).encode())
    return truths


def _outcome(row: dict[str, Any], kind: str, object_id: str, truth_mm: np.ndarray) -> Outcome:
    found = [[row[f"{side}_{axis}"] for axis in "xyz"] for side in SIDES]
    errors_mm = np.linalg.norm(np.array(found, dtype=np.float64) - truth_mm, axis=1)
    return Outcome(kind, object_id, errors_mm, row["accepted"], row["reason"])


def print_outcomes(config: CorruptionsConfig, outcomes: list[Outcome]) -> None:
    """Print the table and the count."""
    print_result(f"\n{'corrupted':24}{'object':16}{'left mm':>9}{'right mm':>9}  result")
    for outcome in outcomes:
        left, right = (f"{error:9.2f}" if np.isfinite(error) else f"{'-':>9}" for error in outcome.errors_mm)
        result = "accepted" if outcome.accepted else outcome.reason.partition("; ")[0]
        print_result(f"{outcome.kind:24}{outcome.object_id:16}{left}{right}  {result}")
    wrong = sum(outcome.accepted and bool((outcome.errors_mm > config.right_mm).any()) for outcome in outcomes)
    accepted = sum(outcome.accepted for outcome in outcomes)
    print_result(
        f"\n{len(outcomes)} corrupted objects: {len(outcomes) - accepted} rejected, {accepted - wrong} accepted and "
        f"right within {config.right_mm:g} mm, {wrong} accepted and wrong"
    )
