"""`python -m jobs.experiments set-size`: errors, training time and cost per object over the number of landmarks."""

import json
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.splits import stable_fraction
from featurelib.errors import DataError, UsageError
from featurelib.evaluation.figures import MUTED, SERIES, Plot, svg
from featurelib.geometry import LandmarkSet
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.drivers.predict import costs_of_stages_ms
from jobs.drivers.predict import choose_models
from jobs.drivers.training import flags_of
from jobs.experiments.drivers.excerpts import write_subset
from jobs.experiments.set_size import SetSizeConfig
from jobs.pipeline import PipelineConfig, pipeline
from jobs.train_detector import DetectorTraining
from jobs.workers import cluster

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)


class Measured(NamedTuple):
    """What one subset costs, and its errors of test objects in mm.

    channels: number of pairs and single landmarks. minutes: wall time of the pipeline, or of its rest if it was
    interrupted. cpu_ms: of `predict`, per object. median_mm, p95_mm: over all its landmarks. smallest_mm: mean over the
    landmarks of the smallest subset of their medians.
    """

    channels: int
    landmarks: int
    minutes: float
    cpu_ms: float
    median_mm: float
    p95_mm: float
    smallest_mm: float


def run(config: SetSizeConfig) -> None:
    """Train on each subset, print a table and write `set-size.svg`."""
    if storage.is_s3(config.dataset) or storage.is_s3(config.out):
        raise UsageError(f"--dataset {config.dataset} --out {config.out}: expected local folders")
    dataset = open_dataset(config.dataset)
    subsets = nested_subsets(dataset, sorted(config.channels), config.first)
    found = [_measure(config, dataset, count, subset, subsets[0][1]) for count, subset in subsets]
    print_table(found)
    plot = Path(config.out, "set-size.svg")
    plot.write_text(svg(growth_plot(found), "set-size", "Costs and errors over the number of landmarks"))
    print_result(f"\n{plot}")


def nested_subsets(dataset: Dataset, counts: Sequence[int], first: Sequence[str] = ()) -> list[tuple[int, LandmarkSet]]:
    """Return subsets of a set, each with its number of pairs and single landmarks; larger ones contain smaller ones.

    Args:
        dataset: whose set is divided.
        counts: of pairs and single landmarks.
        first: landmarks that come first; either landmark of a pair stands for both.

    Raises:
        DataError: if the set has no such landmark, or fewer pairs and single landmarks than the largest number.
    """
    landmarks = dataset.landmarks
    members = [*landmarks.pairs, *((name,) for name in (*landmarks.midline, *landmarks.unpaired))]
    for name in set(first) - set(landmarks.names):
        raise DataError(f"{dataset.uri}/dataset.json: --first {name}: no such landmark")
    if not 1 <= min(counts) <= max(counts) <= len(members):
        raise DataError(f"{dataset.uri}: --channels {' '.join(map(str, counts))}: expected 1 to {len(members)}")
    members.sort(key=lambda names: (not set(names) & set(first), stable_fraction(f"landmark {names[0]}")))
    return [(count, _only(landmarks, {name for names in members[:count] for name in names})) for count in counts]


def _only(landmarks: LandmarkSet, names: set[str]) -> LandmarkSet:
    return replace(
        landmarks,
        pairs=tuple(pair for pair in landmarks.pairs if set(pair) <= names),
        midline=tuple(name for name in landmarks.midline if name in names),
        unpaired=tuple(name for name in landmarks.unpaired if name in names),
        outlines=(),
        definitions={},
    )


def _measure(
    config: SetSizeConfig, dataset: Dataset, count: int, subset: LandmarkSet, smallest: LandmarkSet
) -> Measured:
    logger.info("experiment: %s pairs and single landmarks", count)
    folder = Path(config.out, f"channels-{count}")
    part, made = str(folder / "dataset"), str(folder / "run")
    write_subset(dataset, (row for row in dataset.objects.to_pylist() if row["mesh"]), subset, folder / "dataset")
    started = time.perf_counter()
    pipeline(
        PipelineConfig(
            **flags_of(DetectorTraining, config),
            dataset=part,
            run=made,
            projections=(config.projection,),
            image_size=config.image_size,
            refiner_crops=config.refiner_crops,
        )
    )
    minutes = (time.perf_counter() - started) / 60
    unlabelled = open_dataset(part, labelled=False)
    models = choose_models(made, config.projection, unlabelled)
    costs_ms = costs_of_stages_ms(unlabelled, models, config.sample, cluster.num_cpus())
    lifter = json.loads((folder / "run" / "report" / "report.json").read_text())["lifter"][config.projection]
    scores = lifter["test"][lifter["chosen"]]
    first = [scores["by_landmark"][name]["error_mm"] for name in smallest.names]
    return Measured(
        count,
        len(subset.names),
        minutes,
        sum(costs_ms.values()),
        scores["error_mm"]["median"],
        scores["error_mm"]["p95"],
        statistics.mean(each["median"] for each in first),
    )


def print_table(found: Sequence[Measured]) -> None:
    """Print a line per subset."""
    titles = "channels", "landmarks", "minutes", "CPU ms per object", "median, mm", "p95, mm", "smallest subset, mm"
    print_result("\n" + "  ".join(titles))
    for row in found:
        cells = (str(value) if isinstance(value, int) else f"{value:.2f}" for value in row)
        print_result("  ".join(cell.rjust(len(title)) for cell, title in zip(cells, titles, strict=True)))


def growth_plot(found: Sequence[Measured]) -> Plot:
    """Return costs and errors as multiples of those of the smallest subset, over the number of landmarks."""
    landmarks = [row.landmarks for row in found]
    lines: dict[str, Sequence[float]] = {
        "landmarks": landmarks,
        "CPU per object": [row.cpu_ms for row in found],
        "minutes of the pipeline": [row.minutes for row in found],
        "median error": [row.median_mm for row in found],
    }

    def draw(axes: "Axes") -> None:
        for colour, (label, values) in zip((MUTED, *SERIES), lines.items(), strict=False):
            axes.loglog(landmarks, np.divide(values, values[0]), marker="o", color=colour, label=label)
        axes.set(xlabel="landmarks", title="multiple of the smallest subset")
        axes.legend()

    figures = (f"{label} {values[-1] / values[0]:.1f} times" for label, values in lines.items())
    return Plot((640, 360), f"From {landmarks[0]} to {landmarks[-1]} landmarks: {', '.join(figures)}.", draw)
