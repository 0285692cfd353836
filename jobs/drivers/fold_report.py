"""RUN/folds -> RUN/folds/predictions.parquet and RUN/report: each object's errors by models that have not seen it."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from featurelib.datasets.folds import Folds
from featurelib.datasets.shards import open_renders
from featurelib.datasets.splits import NEEDS
from featurelib.evaluation.methods import CHOSEN_BY_FOLD
from featurelib.geometry import canonical
from featurelib.models.lifter.files import lifter_version
from featurelib.models.lifter.vectors import Vectors, read_config, vectors_uri
from featurelib.models.predictions import PREDICTIONS, Failure, failure_rows, prediction_rows, without_absent
from featurelib.models.refiner.files import current_version
from featurelib.models.uncertainty.cross_fit import CrossFittedUncertainty
from featurelib.models.versions import validation_mm
from featurelib.runtime import completion, parquet, storage
from jobs.drivers.evaluate import print_report
from jobs.drivers.evaluated import Evaluated, evaluated, write_report
from jobs.workers.inference import MeshPrediction

logger = logging.getLogger(__name__)

FOLD_PREDICTIONS = PREDICTIONS.append(pa.field("fold", pa.int32()))
"""The columns of folds/predictions.parquet: those of predictions, in mm in the object frame, and the object's fold."""


def report_folds(folds: Folds, projections: Sequence[str], *, is_final: bool) -> None:
    """Write the predictions and the report, if the folds' models are new, and print the report's table."""
    uri = storage.join(folds.run, "report")
    config_uri = storage.join(uri, "config.json")
    made_from: dict[str, Any] = {projection: _versions(folds, projection) for projection in projections}
    made_from |= {"folds": folds.sizes, "final": is_final}
    if not completion.is_complete(config_uri, made_from):
        completion.invalidate(config_uri)
        parts = {projection: pooled(folds, projection) for projection in projections}
        best = min(parts, key=lambda projection: _validation_mm(folds, projection))
        rows = prediction_table(folds, parts[best])
        parquet.write_table(storage.join(folds.run, "folds", "predictions.parquet"), rows)
        write_report(list(parts.values()), uri, _about(folds, is_final))
        completion.mark_complete(config_uri, made_from)
    report = json.loads(storage.read_bytes(storage.join(uri, "report.json")))
    if len(folds.fold_of) < NEEDS["val"]:
        logger.warning(
            "pipeline: %d objects are too few for error bars of 95 %%, which need %d; label more",
            len(folds.fold_of),
            NEEDS["val"],
        )
    print_report(uri, report)


def _versions(folds: Folds, projection: str) -> list[list[Any]]:
    return [
        [read_config(vectors_uri(run, projection)), lifter_version(run, projection), current_version(run, projection)]
        for run in folds.runs
    ]


def _validation_mm(folds: Folds, projection: str) -> float:
    """Return the mean error of a projection's models on validation objects, as a mean over the folds."""
    return float(np.mean([validation_mm(run, projection) for run in folds.runs]))


def _about(folds: Folds, is_final: bool) -> dict[str, Any]:
    """Return the part of report.json about the objects; those for training and validation are of one fold, a mean."""
    num_test, count = len(folds.fold_of), folds.count
    objects = {"train": round(num_test * (count - 2) / count), "val": round(num_test / count), "test": num_test}
    return {"objects": objects, "folds": {"objects": folds.sizes, "final": is_final}}


def pooled(folds: Folds, projection: str) -> Evaluated:
    """Return the results on all objects, each by its fold's models, with uncertainty from the other folds' errors."""
    parts = [evaluated(run, projection, current_version(run, projection)) for run in folds.runs]
    vectors = Vectors.concat([part.vectors for part in parts])
    found = [of_one for part in parts for of_one in part.found]
    methods = {part.chosen for part in parts}
    chosen = methods.pop() if len(methods) == 1 else CHOSEN_BY_FOLD
    every = dict.fromkeys(method for part in parts for method in part.estimates_mm)
    estimates_mm = {method: np.concatenate([_estimates(part, method) for part in parts]) for method in every}
    if chosen == CHOSEN_BY_FOLD:
        estimates_mm[CHOSEN_BY_FOLD] = np.concatenate([part.estimates_mm[part.chosen] for part in parts])
    numbers = folds.numbers(vectors.object_ids)
    known = np.flatnonzero([of_one is not None for of_one in found])
    predictions = [of_one.prediction for of_one in found if of_one]
    uncertainty = CrossFittedUncertainty.fit(
        (estimates_mm[chosen] - vectors.landmarks_mm)[known],
        np.array([prediction.covariance_mm2 for prediction in predictions]),
        [prediction.quality_scores for prediction in predictions],
        numbers[known],
        canonical(vectors.landmarks).channel,
    )
    models = dict(zip(known.tolist(), map(uncertainty.of, range(len(known))), strict=True))
    found = [of_one and _with_uncertainty(of_one, models[i]) for i, of_one in enumerate(found)]
    manifest = open_renders(folds.run, projection)
    splits = {str(object_id): f"fold {folds.fold_of[str(object_id)]}" for object_id in vectors.object_ids}
    return Evaluated(manifest.with_splits(splits), vectors, estimates_mm, found, chosen, uncertainty)


def _estimates(part: Evaluated, method: str) -> np.ndarray:
    """Return a method's landmarks (n, k, 3); NaN if the fold has no such method."""
    return np.asarray(part.estimates_mm.get(method, np.full_like(part.vectors.landmarks_mm, np.nan)))


def _with_uncertainty(of_one: MeshPrediction, model: Any) -> MeshPrediction:
    prediction = of_one.prediction
    uncertainty = model.of(prediction.covariance_mm2, prediction.quality_scores)
    fitted = prediction._replace(uncertainty=without_absent(uncertainty, prediction.present))
    return of_one._replace(prediction=fitted)


def prediction_table(folds: Folds, part: Evaluated) -> pa.Table:
    """Return the rows of FOLD_PREDICTIONS, sorted by object, with landmarks in the set's order."""
    names, identity = part.manifest.landmarks.names, np.eye(4)
    rows: list[Mapping[str, Any]] = []
    for object_id, of_one in sorted(zip(part.vectors.object_ids.tolist(), part.found, strict=True), key=lambda x: x[0]):
        own = (
            prediction_rows(object_id, of_one.prediction, names, identity)
            if of_one
            else failure_rows(object_id, Failure("predict", "the mesh cannot be read"), names)
        )
        rows += [{**row, "fold": folds.fold_of[object_id]} for row in own]
    return pa.Table.from_pylist(rows, schema=FOLD_PREDICTIONS)
