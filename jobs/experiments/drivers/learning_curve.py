"""`python -m jobs.experiments learning-curve`: test error over the number of labelled objects."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.splits import stable_fraction
from featurelib.errors import DataError, UsageError
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.drivers.training import flags_of
from jobs.experiments.drivers.excerpts import write_subset
from jobs.experiments.learning_curve import LearningCurveConfig
from jobs.pipeline import PipelineConfig, pipeline
from jobs.train_detector import DetectorTraining

logger = logging.getLogger(__name__)

VALIDATION_SHARE = 0.2
"""Share of the labelled objects, at least two of them; they select the method and fit the uncertainty."""

COLUMNS = {"refined": "refined", "robust": "fused rays", "template": "mean shape"}
"""Methods of the report, and their names in the table."""


def run(config: LearningCurveConfig) -> None:
    """Train with each number of labels, and print the curve."""
    if storage.is_s3(config.dataset) or storage.is_s3(config.out):
        raise UsageError(f"--dataset {config.dataset} --out {config.out}: expected local folders")
    dataset = open_dataset(config.dataset)
    print_curve({count: _measure(config, dataset, count) for count in config.labels})


def _measure(config: LearningCurveConfig, dataset: Dataset, count: int) -> dict[str, Any]:
    """Return the report of a run with `count` labelled objects."""
    logger.info("bench: %s labelled objects", count)
    folder = Path(config.out, f"labels-{count}")
    write_excerpt(dataset, count, folder / "dataset")
    pipeline(
        PipelineConfig(
            **flags_of(DetectorTraining, config),
            dataset=str(folder / "dataset"),
            run=str(folder / "run"),
            projections=(config.projection,),
            image_size=config.image_size,
            refiner_crops=config.refiner_crops,
        )
    )
    return dict(json.loads((folder / "run" / "report" / "report.json").read_text())["lifter"][config.projection])


def write_excerpt(dataset: Dataset, count: int, folder: Path) -> None:
    """Write a dataset of all test objects and `count` others; its meshes are a link.

    The choice depends on the names of the objects' groups only, and smaller choices are subsets of larger ones.

    Raises:
        DataError: if the dataset has too few objects.
    """
    rows = [row for row in dataset.objects.to_pylist() if row["mesh"]]
    others = sorted(
        (row for row in rows if row["split"] != "test"), key=lambda row: stable_fraction(f"label {row['group']}")
    )
    if len(others) < count or count < 3:
        raise DataError(
            f"{dataset.uri}: --labels {count}: expected 3 to {len(others)}, its objects outside the test split"
        )
    num_val = max(2 if count > 3 else 1, round(VALIDATION_SHARE * count))
    chosen = [{**row, "split": "val" if i < num_val else "train"} for i, row in enumerate(others[:count])]
    chosen += [row for row in rows if row["split"] == "test"]
    write_subset(dataset, chosen, dataset.landmarks, folder)


def print_curve(found: Mapping[int, Mapping[str, Any]]) -> None:
    """Print a line for each number."""
    print_result("\nerrors of test objects in mm: mean, median, 95th percentile")
    print_result(f"{'labels':>6}" + "".join(f"  {name:>18}" for name in COLUMNS.values()))
    for count, lifter in found.items():
        cells = [_cell(lifter["test"][method]["error_mm"]) for method in COLUMNS]
        print_result(f"{count:6}" + "".join(f"  {cell:>18}" for cell in cells))


def _cell(error_mm: Mapping[str, float | None]) -> str:
    return " ".join("-" if error_mm[name] is None else f"{error_mm[name]:.2f}" for name in ("mean", "median", "p95"))
