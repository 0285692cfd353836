"""`featurelib bench train`: a training against its stream and its step alone, and the memory of its processes."""

import logging
import math
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from featurelib.datasets.shards import Manifest, open_renders
from featurelib.errors import UsageError
from featurelib.models.detector.checkpoint import Epoch
from featurelib.models.detector.files import detector_uri, read_epochs
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.delivery import Delivery, stream_delivery
from jobs.bench.excerpts import repeat_shards, resize
from jobs.bench.footprint import Footprint
from jobs.bench.memory_plot import memory_plot
from jobs.bench.renders import rendered_run
from jobs.bench.step import Pace, step_alone
from jobs.bench.tables import cells
from jobs.bench.train import BenchTrainConfig
from jobs.drivers.train_detector import recipe_of, train_on_cluster
from jobs.train_detector import TrainDetectorConfig
from jobs.workers import cluster
from jobs.workers.detector_samples import StreamPlan

logger = logging.getLogger(__name__)

ROLES = {
    "RayTrainWorker": "train worker",
    "fit_alone": "train worker",
    "_read_segment": "data worker",
    "SplitCoordinator": "split coordinator",
    "fit_on_cluster": "training task",
    "TrainController": "train controller",
    "driver": "driver",
}
"""Roles of a training's processes, by a part of their titles."""


class Measured(NamedTuple):
    """The rates of one number of workers.

    Attributes:
        workers: Number of workers.
        stream: The stream alone.
        step: The step alone.
        both: Images per second of a training.
        wait_pct: Share of the time in which it waits for the stream.
    """

    workers: int
    stream: Delivery
    step: Pace
    both: float
    wait_pct: float

    def predicted(self, cpus: int) -> float:
        """Return the images per second of stream and step if they share the CPUs without loss.

        Neither runs faster than alone. Of a step on a GPU, only the CPU time of its process counts.
        """
        return min(1e3 * cpus / (self.stream.cpu_ms + self.step.cpu_ms), self.stream.rate, self.step.rate)


def run(config: BenchTrainConfig) -> None:
    """Measure rates or memory, and print the table."""
    cluster.connect_for_data()
    with tempfile.TemporaryDirectory() as folder:
        manifest = open_renders(rendered_run(config, Path(folder)), config.projection)
        if config.images:
            found = memory(config, manifest, folder)
            print_memory(config, found)
            if config.plot:
                counts = [resize(manifest, 2 * images).views["train"] for images in config.images]
                storage.write_bytes(config.plot, memory_plot(counts, found).encode())
        else:
            print_rates(config, [measure(config, manifest, workers, folder) for workers in config.workers])


def measure(config: BenchTrainConfig, manifest: Manifest, workers: int, folder: str) -> Measured:
    """Return the rates of one number of workers."""
    alone = repeat_shards(replace(manifest, views={**manifest.views, "val": 0}), config.samples)
    plan = StreamPlan(alone, input_size=config.input_size, batch_size=config.batch_size, epochs=1)
    flags = _flags(config, workers, storage.join(folder, f"workers-{workers}"))
    logger.info("bench: %s workers, the stream alone", workers)
    stream = stream_delivery(plan, workers)
    logger.info("bench: %s workers, the step alone", workers)
    step = step_alone(flags, manifest.landmarks, next(plan.batches(plan.segments()[0])), config.seconds)
    logger.info("bench: %s workers, both", workers)
    rows = train(flags, manifest)
    steady = rows[1:] or rows
    return Measured(
        workers,
        stream,
        step,
        both=statistics.median(row.images_per_s for row in steady),
        wait_pct=statistics.median(row.wait_pct for row in steady),
    )


def train(flags: TrainDetectorConfig, manifest: Manifest) -> list[Epoch]:
    """Train as train-detector does and return the epochs."""
    uri = detector_uri(flags.run, flags.projection)
    train_on_cluster(flags, recipe_of(flags, manifest), manifest, uri, {})
    return read_epochs(uri)


def _flags(config: BenchTrainConfig, workers: int, run: str) -> TrainDetectorConfig:
    if config.batch_size % workers:
        raise UsageError(f"--batch-size {config.batch_size}: expected a multiple of --workers {workers}")
    return TrainDetectorConfig(
        run=run,
        projection=config.projection,
        weights="none",
        alpha=config.alpha,
        input_size=config.input_size,
        workers=workers,
        cpus_per_worker=config.cpus_per_worker,
        gpu=config.gpu,
        precision=config.precision,
        max_restarts=0,
        epochs=config.epochs,
        batch_size=config.batch_size,
        patience=config.epochs,
    )


def memory(config: BenchTrainConfig, manifest: Manifest, folder: str) -> list[dict[str, float]]:
    """Return the peak memory of each role in MB, for each number of images.

    A process grows during its first seconds on any dataset, so smaller datasets are trained for more epochs.
    """
    found = []
    for images in config.images:
        epochs = max(1, round(config.epochs * max(config.images) / images))
        logger.info("bench: memory, %s training images, %s epochs", images, epochs)
        run = storage.join(folder, f"images-{images}")
        with Footprint(ROLES, pause_s=1.0) as footprint:
            train(_flags(replace(config, epochs=epochs), config.workers[0], run), resize(manifest, 2 * images))
        found.append({role: mb for role, mb in footprint.peak_mb.items() if role in ROLES.values()})
    return found


def print_rates(config: BenchTrainConfig, found: Sequence[Measured]) -> None:
    """Print the rates, a row for each number of workers."""
    cpus = cluster.num_cpus()
    print_result(f"\nimages per second, alpha {config.alpha:g}, {_sizes(config)}, {cpus} CPUs")
    print_result(
        f"{'workers':>8}{'stream':>10}{'step':>10}{'both':>10}{'stall %':>10}{'predicted':>11}{'of it':>8}"
        f"{'speed-up':>10}{'stream CPU ms':>15}{'step CPU ms':>13}"
    )
    for row in found:
        predicted = row.predicted(cpus)
        print_result(
            f"{row.workers:8}{cells((row.stream.rate, row.step.rate, row.both, row.wait_pct))}"
            f"{predicted:11.1f}{row.both / predicted:8.2f}{row.both / found[0].both:10.2f}"
            f"{row.stream.cpu_ms:15.2f}{row.step.cpu_ms:13.2f}"
        )
    print_result("predicted: CPUs over the CPU time per image of stream and step together; at most the rate of each")


def print_memory(config: BenchTrainConfig, found: Sequence[dict[str, float]]) -> None:
    """Print the peaks by role, and the growth from the first to the last number of images."""
    print_result(f"\npeak private memory (USS), MB, by training images; {_sizes(config)}, same number of steps each")
    print_result(f"{'':20}" + "".join(f"{images:>10}" for images in config.images) + f"{'growth':>10}")
    for role in ROLES.values():
        peaks = [peak.get(role, math.nan) for peak in found]
        print_result(f"{role:20}{cells(peaks, '10.0f')}{100 * (peaks[-1] / peaks[0] - 1):9.1f}%")


def _sizes(config: BenchTrainConfig) -> str:
    return f"{config.input_size} px, batches of {config.batch_size}"
