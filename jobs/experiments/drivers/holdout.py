"""`python -m jobs.experiments holdout`: compare `predict` with labels that the run has never seen.

A run has only some dozens of test objects. Its error bars need about a thousand more to be checked.
"""

import tempfile
import time
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import DataError
from featurelib.evaluation.bootstrap import interval
from featurelib.geometry import SIDES
from featurelib.models.prediction_parts import read_predictions
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
        table = read_predictions(out)
    print_outcome(table, errors_mm(dataset, table), seconds)


def errors_mm(dataset: Dataset, table: pa.Table) -> NDArray[np.float64]:
    """Return the errors (n, 2) of predictions in mm; NaN where there is no prediction.

    Raises:
        DataError: if an object has no label.
    """
    truths = {row["object_id"]: row for row in dataset.objects.to_pylist()}
    source_mm = np.cbrt(np.linalg.det(dataset.object_from_source[:3, :3]))
    errors = []
    for row in table.to_pylist():
        if row["object_id"] not in truths:
            raise DataError(f"{dataset.uri}/landmarks.csv: no row for object {row['object_id']!r}, which has a mesh")
        found = np.array([[row[f"{side}_{axis}"] for axis in "xyz"] for side in SIDES], dtype=np.float64)
        true = np.array([truths[row["object_id"]][side] for side in SIDES])
        errors.append(source_mm * np.linalg.norm(found - true, axis=1))
    return np.array(errors)


def print_outcome(table: pa.Table, errors: NDArray[np.float64], seconds: float) -> None:
    """Print the errors of all, accepted and rejected objects, and the coverage of the error bars."""
    accepted = table["accepted"].to_numpy(zero_copy_only=False)
    sigmas = np.stack([table[f"{side}_sigma_mm"].to_numpy(zero_copy_only=False) for side in SIDES], axis=1)
    known = np.isfinite(errors)
    print_result(
        f"\n{len(errors)} objects in {seconds:.0f} s, {seconds / len(errors):.2f} s each, models loaded within it"
    )
    print_result(f"{'mm':12}{'objects':>8}{'mean':>8}{'median':>8}{'p95':>8}   interval of the median")
    for name, chosen in {"all": np.ones(len(errors), bool), "accepted": accepted, "rejected": ~accepted}.items():
        print_result(_line(name, errors[chosen]))
    for level, radius in ((68, CHI_68), (95, CHI_95)) if accepted.any() else ():
        held = (errors <= radius * sigmas)[known & accepted[:, None]]
        print_result(
            f"within {radius:.2f} sigma, {level} % of a Gaussian: {100 * held.mean():.1f} % of accepted landmarks"
        )


def _line(name: str, errors: NDArray[Any]) -> str:
    known = errors[np.isfinite(errors)]
    if not known.size:
        return f"{name:12}{len(errors):8}"
    low, high = interval(errors, "median")
    figures = (known.mean(), np.median(known), np.percentile(known, 95))
    return f"{name:12}{len(errors):8}" + "".join(f"{value:8.3f}" for value in figures) + f"   {low:.3f} to {high:.3f}"
