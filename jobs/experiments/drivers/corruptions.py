"""`python -m jobs.experiments corruptions`: whether a run rejects corrupted objects, or accepts wrong predictions.

Test objects are corrupted in each way of `featurelib.evaluation.corruptions`, and `predict` gets them as a user's own.
"""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.dataset_json import set_values
from featurelib.datasets.shards import open_renders
from featurelib.evaluation.corruptions import kinds
from featurelib.meshes.writers.ply import ply
from featurelib.models.lifter.vectors import Vectors, read_vectors, refuse_empty_splits
from featurelib.models.prediction_parts import read_predictions
from featurelib.models.predictions import predicted_objects
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.experiments.corruptions import CorruptionsConfig
from jobs.predict import PredictConfig, predict
from jobs.workers.inference import mesh_files


class Outcome(NamedTuple):
    """One corrupted object: of each landmark (k,) the error, NaN if not known, and why it was rejected, else empty."""

    kind: str
    object_id: str
    errors_mm: np.ndarray
    reasons: list[str]

    def is_wrong(self, right_mm: float) -> bool:
        """Return whether an accepted landmark has a larger error."""
        return bool(any(e > right_mm for e, reason in zip(self.errors_mm, self.reasons, strict=True) if not reason))

    @property
    def reason(self) -> str:
        """Why the first rejected landmark was; empty if all were accepted."""
        return next(filter(None, self.reasons), "")


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
        found = predicted_objects(read_predictions(out), len(manifest.landmarks.names))
    each = zip(found.object_ids, found.points, found.reasons.tolist(), strict=True)
    print_outcomes(config, [_outcome(*truths[name], points, reasons) for name, points, reasons in each])


def write_corrupted(
    config: CorruptionsConfig, dataset_uri: str, vectors: Vectors, folder: Path
) -> dict[str, tuple[str, str, np.ndarray]]:
    """Write a dataset of corrupted objects in mm, object frame; return kind, object id and truth (k, 3) by its id."""
    dataset = open_dataset(dataset_uri)
    meshes = mesh_files(dataset, vectors.object_ids)
    truths = {}
    for number, (kind, corrupt) in enumerate(kinds(dataset.landmarks).items()):
        for k in range(config.each):
            i = (number * config.each + k) % len(vectors)
            mesh, landmarks_mm = corrupt(dataset.load(meshes[i]), vectors.landmarks_mm[i])
            name = f"{number:02d}-{k:02d}"
            storage.write_bytes(str(folder / "meshes" / f"{name}.ply"), ply(mesh.vertices_mm, mesh.faces))
            truths[name] = kind, str(vectors.object_ids[i]), landmarks_mm
    settings = {"unit": "mm", **set_values(dataset.landmarks)}
    storage.write_bytes(str(folder / "dataset.json"), json.dumps(settings).encode())
    return truths


def _outcome(kind: str, object_id: str, truth_mm: np.ndarray, found_mm: np.ndarray, reasons: list[str]) -> Outcome:
    return Outcome(kind, object_id, np.linalg.norm(found_mm - truth_mm, axis=1), reasons)


def print_outcomes(config: CorruptionsConfig, outcomes: list[Outcome]) -> None:
    """Print the table and the count."""
    print_result(f"\n{'corrupted':24}{'object':16}{'median mm':>11}{'largest mm':>12}{'rejected':>10}  result")
    for outcome in outcomes:
        known = outcome.errors_mm[np.isfinite(outcome.errors_mm)]
        errors = f"{np.median(known):11.2f}{known.max():12.2f}" if known.size else f"{'-':>11}{'-':>12}"
        rejected = f"{sum(map(bool, outcome.reasons))} of {len(outcome.reasons)}"
        result = outcome.reason.partition("; ")[0] or "accepted"
        print_result(f"{outcome.kind:24}{outcome.object_id:16}{errors}{rejected:>10}  {result}")
    wrong = sum(outcome.is_wrong(config.right_mm) for outcome in outcomes)
    right = sum(not outcome.reason and not outcome.is_wrong(config.right_mm) for outcome in outcomes)
    print_result(
        f"\n{len(outcomes)} corrupted objects: {len(outcomes) - right - wrong} rejected, {right} accepted and "
        f"right within {config.right_mm:g} mm, {wrong} accepted and wrong"
    )
