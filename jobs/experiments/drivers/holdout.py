"""`python -m jobs.experiments holdout`: compare `predict` with labels that the run has never seen.

A run has only some dozens of test objects. Its error bars need about a thousand more to be checked.
"""

import tempfile
import time

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import DataError
from featurelib.evaluation.bootstrap import interval
from featurelib.models.prediction_parts import read_predictions
from featurelib.models.predictions import PredictedObjects, predicted_objects
from featurelib.models.uncertainty.conformal import CHI_68, CHI_95
from featurelib.runtime.console import print_result
from jobs.experiments.holdout import HoldoutConfig
from jobs.predict import PredictConfig, predict


def run(config: HoldoutConfig) -> None:
    """Predict the objects, and print errors and coverage."""
    dataset = open_dataset(config.dataset)
    with tempfile.TemporaryDirectory() as folder:
        out = config.out or folder
        started = time.perf_counter()
        predict(PredictConfig(dataset=config.dataset, run=config.run, out=out, projection=config.projection))
        seconds = time.perf_counter() - started
        found = predicted_objects(read_predictions(out), len(dataset.landmarks.names))
    print_outcome(found, errors_mm(dataset, found), seconds)


def errors_mm(dataset: Dataset, found: PredictedObjects) -> NDArray[np.float64]:
    """Return the errors (n, k) of predictions in mm; NaN where there is no prediction or no label.

    Raises:
        DataError: if an object has no label.
    """
    rows = dict(zip(*(dataset.objects[name].to_pylist() for name in ("object_id", "landmarks")), strict=True))
    for object_id in found.object_ids:
        if object_id not in rows:
            raise DataError(f"{dataset.uri}/landmarks.csv: no row for object {object_id!r}, which has a mesh")
    true = np.array([rows[object_id] for object_id in found.object_ids]).reshape(found.points.shape)
    source_mm = np.cbrt(np.linalg.det(dataset.object_from_source[:3, :3]))
    return np.asarray(source_mm * np.linalg.norm(found.points - true, axis=-1))


def print_outcome(found: PredictedObjects, errors: NDArray[np.float64], seconds: float) -> None:
    """Print the errors (n, k) of all, accepted and rejected landmarks, and the coverage of the error bars."""
    known = np.isfinite(errors)
    print_result(
        f"\n{len(errors)} objects in {seconds:.0f} s, {seconds / len(errors):.2f} s each, models loaded within it"
    )
    print_result(f"{'mm':12}{'objects':>8}{'landmarks':>11}{'mean':>8}{'median':>8}{'p95':>8}   interval of the median")
    every = np.ones(errors.shape, bool)
    for name, chosen in {"all": every, "accepted": found.accepted, "rejected": ~found.accepted}.items():
        print_result(_line(name, chosen, errors))
    if not (known & found.accepted).any():
        return
    for level, radius in ((68, CHI_68), (95, CHI_95)):
        held = (errors <= radius * found.sigma_mm)[known & found.accepted]
        print_result(
            f"within {radius:.2f} sigma, {level} % of a Gaussian: {100 * held.mean():.1f} % of accepted landmarks"
        )


def _line(name: str, chosen: NDArray[np.bool_], errors: NDArray[np.float64]) -> str:
    """Return the numbers of the chosen landmarks (n, k); an object counts as accepted if all its landmarks are."""
    objects = chosen.any(axis=1).sum() if name != "accepted" else chosen.all(axis=1).sum()
    chosen_errors = np.where(chosen, errors, np.nan)
    known = chosen_errors[np.isfinite(chosen_errors)]
    start = f"{name:12}{objects:8}{chosen.sum():11}"
    if not known.size:
        return start
    low, high = interval(chosen_errors, "median")
    figures = (known.mean(), np.median(known), np.percentile(known, 95))
    return start + "".join(f"{value:8.3f}" for value in figures) + f"   {low:.3f} to {high:.3f}"
