"""`python -m jobs.experiments folds`: errors and regions from folds against those on objects that no model has seen."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.splits import stable_fraction
from featurelib.errors import DataError, UsageError
from featurelib.geometry import apply
from featurelib.models.prediction_parts import read_predictions
from featurelib.models.predictions import predicted_objects
from featurelib.models.uncertainty.conformal import CHI_68, CHI_95
from featurelib.runtime import parquet, storage
from featurelib.runtime.console import print_result
from jobs.drivers.training import flags_of
from jobs.experiments.drivers.holdout import errors_mm
from jobs.experiments.folds import FoldsConfig
from jobs.pipeline import PipelineConfig, pipeline
from jobs.predict import PredictConfig, predict
from jobs.train_detector import DetectorTraining


class Outcome(NamedTuple):
    """Errors (n, k) in mm of n objects, NaN without label or answer, and the standard deviations (n, k) of answers."""

    errors_mm: NDArray[np.float64]
    sigma_mm: NDArray[np.float64]


def run(config: FoldsConfig) -> None:
    """Train in folds and once, predict fresh objects, and print the table."""
    if storage.is_s3(config.dataset) or storage.is_s3(config.out):
        raise UsageError(f"--dataset {config.dataset} --out {config.out}: expected local folders")
    dataset, out = open_dataset(config.dataset), Path(config.out)
    some, fresh = chosen(dataset, config.objects, config.fresh)
    write_excerpt(dataset, some, out / "dataset", config.group_size)
    write_excerpt(dataset, fresh, out / "fresh", 1)
    seconds = {f"{config.folds} folds and final": _trained(config, out / "run", config.folds)}
    if config.once:
        seconds["one training"] = _trained(config, out / "once", None)
    predict(PredictConfig(dataset=str(out / "fresh"), run=str(out / "run"), out=str(out / "predictions")))
    outcomes = {"folds": of_folds(out / "dataset", out / "run"), "fresh": of_fresh(out / "fresh", out / "predictions")}
    print_outcomes(outcomes, seconds)


def chosen(dataset: Dataset, num_some: int, num_fresh: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of two disjoint choices of objects, which depend on their names only.

    Raises:
        DataError: if the dataset has too few objects.
    """
    rows = [row for row in dataset.objects.to_pylist() if row["mesh"]]
    if len(rows) < num_some + num_fresh:
        raise DataError(
            f"{dataset.uri}: {len(rows)} objects; --objects {num_some} --fresh {num_fresh} need {num_some + num_fresh}"
        )
    rows.sort(key=lambda row: stable_fraction(f"fold {row['object_id']}"))
    return rows[:num_some], rows[num_some : num_some + num_fresh]


def write_excerpt(dataset: Dataset, rows: Sequence[Mapping[str, Any]], folder: Path, group_size: int) -> None:
    """Write a dataset of some objects in groups of a size, without splits; its meshes are links."""
    (folder / "meshes").mkdir(parents=True, exist_ok=True)
    source = Path(dataset.uri)
    for row in rows:
        link = folder / "meshes" / row["mesh"]
        if not link.exists():
            link.symlink_to(source / "meshes" / row["mesh"])
    for name in ("dataset.json", "alignment.csv"):
        if (source / name).exists():
            (folder / name).write_bytes((source / name).read_bytes())
    points = {row["object_id"]: np.reshape(row["landmarks"], (-1, 3)) for row in rows}
    absent = {row["object_id"]: row["absent"] for row in rows}
    groups = {row["object_id"]: (f"group-{i // group_size:03d}", "") for i, row in enumerate(rows)}
    (folder / "landmarks.csv").write_bytes(write_landmarks(dataset.landmarks, points, absent))
    (folder / "objects.csv").write_bytes(write_objects(groups))


def _trained(config: FoldsConfig, run: Path, folds: int | None) -> float:
    """Run the pipeline and return its time in seconds; a finished run keeps that of its first time."""
    record = run / "seconds.json"
    if not record.exists():
        started = time.perf_counter()
        pipeline(
            PipelineConfig(
                **flags_of(DetectorTraining, config),
                dataset=str(run.parent / "dataset"),
                run=str(run),
                projections=(config.projection,),
                image_size=config.image_size,
                refiner_crops=config.refiner_crops,
                folds=folds,
            )
        )
        record.write_text(json.dumps(time.perf_counter() - started))
    return float(json.loads(record.read_text()))


def of_folds(folder: Path, run: Path) -> Outcome:
    """Return the errors of folds/predictions.parquet, whose points are in mm in the object frame."""
    dataset = open_dataset(str(folder))
    num_landmarks = len(dataset.landmarks.names)
    found = predicted_objects(parquet.read_table(str(run / "folds" / "predictions.parquet")), num_landmarks)
    rows = {row["object_id"]: row for row in dataset.objects.to_pylist()}
    true = []
    for object_id in found.object_ids:
        object_from_source = dataset.object_from_source_of(rows[object_id]["rotation_wxyz"])
        true.append(apply(object_from_source, np.reshape(rows[object_id]["landmarks"], (-1, 3))))
    return Outcome(np.linalg.norm(found.points - np.array(true), axis=-1), found.sigma_mm)


def of_fresh(folder: Path, predictions: Path) -> Outcome:
    """Return the errors of the final models on fresh objects."""
    dataset = open_dataset(str(folder))
    found = predicted_objects(read_predictions(str(predictions)), len(dataset.landmarks.names))
    return Outcome(errors_mm(dataset, found), found.sigma_mm)


def print_outcomes(outcomes: Mapping[str, Outcome], seconds: Mapping[str, float]) -> None:
    """Print errors and shares of errors within the radii of 68 and 95 % of a Gaussian, and the times."""
    print_result(f"\n{'mm':8}{'objects':>8}{'mean':>8}{'median':>8}{'p95':>8}{'in 68 %':>9}{'in 95 %':>9}")
    for name, outcome in outcomes.items():
        known = np.isfinite(outcome.errors_mm)
        errors, sigmas = outcome.errors_mm[known], outcome.sigma_mm[known]
        figures = (errors.mean(), np.median(errors), np.percentile(errors, 95))
        shares = [100 * (errors <= radius * sigmas).mean() for radius in (CHI_68, CHI_95)]
        cells = "".join(f"{value:8.3f}" for value in figures) + "".join(f"{share:9.1f}" for share in shares)
        print_result(f"{name:8}{len(known):8}{cells}")
    for name, duration_s in seconds.items():
        print_result(f"{name}: {duration_s:.0f} s")
