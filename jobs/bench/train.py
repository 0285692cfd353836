"""`featurelib bench train`: what a training reaches of its stream and of its step alone, and its processes' memory."""

import csv
import io
import logging
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import ray

from featurelib.datasets.shards import Manifest, open_renders, read_receipt
from featurelib.errors import UsageError
from featurelib.geometry import Projection
from featurelib.models.detector.checkpoint import Epoch
from featurelib.models.detector.files import detector_uri
from featurelib.models.detector.samples import Batch
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from jobs import train_detector
from jobs.bench.footprint import Footprint
from jobs.bench.ingest import BenchIngestConfig, Delivery, deliver, render_bodies, repeat_shards, training_excerpt
from jobs.bench.memory_plot import memory_plot
from jobs.train_detector import TrainDetectorConfig
from jobs.workers import cluster
from jobs.workers.streams import StreamPlan

logger = logging.getLogger(__name__)

ROLES = {
    "RayTrainWorker": "train worker",
    "_read_segment": "data worker",
    "SplitCoordinator": "split coordinator",
    "fit_on_cluster": "training task",
    "TrainController": "train controller",
    "driver": "driver",
}
"""Of a training's processes, by a part of their titles."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchTrainConfig:
    """What to measure on.

    Attributes:
        run: Folder or s3:// URI of a run with renders; default: synthetic bodies, rendered for it.
        projection: Which images.
        objects: Bodies to make where no run is given.
        image_size: Width and height of their images, in pixels.
        alpha: Width of the network, untrained.
        input_size: Width and height of the network's image, in pixels.
        batch_size: Samples a step, over all workers.
        workers: Numbers of workers to measure, one after another.
        cpus_per_worker: As of train-detector.
        gpu: One GPU for each worker.
        precision: As of train-detector.
        epochs: Of each training; the first, in which the step is compiled, counts only where there is no other.
        samples: Of the stream alone.
        seconds: Of the step alone.
        images: Training images of the dataset, each two samples a pass. Where they are given, memory over them is
            measured in place of the rates, each time over as many samples: fewer images come in more epochs, so that
            all trainings are equally long.
        plot: SVG file that receives an image of it.
    """

    run: str | None = None
    projection: Projection = "orthographic"
    objects: int = 40
    image_size: int = 512
    alpha: float = 0.35
    input_size: int = 224
    batch_size: int = 32
    workers: tuple[int, ...] = (1,)
    cpus_per_worker: int | None = None
    gpu: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    epochs: int = 3
    samples: int = 16_000
    seconds: float = 10.0
    images: tuple[int, ...] = ()
    plot: str | None = None


class Pace(NamedTuple):
    """Images a second, and the CPU time of an image over all processes, in ms."""

    rate: float
    cpu_ms: float


class Measured(NamedTuple):
    """One number of workers. stream, step: alone. both: a training's images a second; wait_pct: its stall."""

    workers: int
    stream: Delivery
    step: Pace
    both: float
    wait_pct: float

    def predicted(self, cpus: int) -> float:
        """Return images a second if stream and step share the CPUs and nothing is lost; neither runs faster than alone.

        Of a step on a GPU, only what its process computes counts.
        """
        return min(1e3 * cpus / (self.stream.cpu_ms + self.step.cpu_ms), self.stream.rate, self.step.rate)


def bench_train(config: BenchTrainConfig = BenchTrainConfig()) -> None:
    """Images a second of the stream, of the step and of a training, its stall; or, with --images, peak memory.

    The network starts untrained, so that all of it trains from the first epoch.

    Example: featurelib bench train --run runs/heads --workers 1 2
    """
    cluster.connect_for_data()
    with tempfile.TemporaryDirectory() as folder:
        manifest = open_renders(config.run or _render(config, Path(folder)), config.projection)
        if config.images:
            found = memory(config, manifest, folder)
            print_memory(config, found)
            if config.plot:
                pictures = [sized(manifest, 2 * images).views["train"] for images in config.images]
                storage.write_bytes(config.plot, memory_plot(pictures, found).encode())
        else:
            print_rates(config, [measure(config, manifest, workers, folder) for workers in config.workers])


def _render(config: BenchTrainConfig, folder: Path) -> str:
    return render_bodies(
        BenchIngestConfig(projection=config.projection, objects=config.objects, image_size=config.image_size), folder
    )


def measure(config: BenchTrainConfig, manifest: Manifest, workers: int, folder: str) -> Measured:
    """Return the rates of one number of workers."""
    alone = repeat_shards(replace(manifest, views={**manifest.views, "val": 0}), config.samples)
    plan = StreamPlan(alone, input_size=config.input_size, batch_size=config.batch_size, epochs=1)
    logger.info("bench: %s workers, the stream alone", workers)
    stream = deliver(plan, workers)
    logger.info("bench: %s workers, the step alone", workers)
    step = step_alone(config, workers, next(plan.batches(plan.segments()[0])))
    logger.info("bench: %s workers, both", workers)
    rows = train(config, manifest, workers, storage.join(folder, f"workers-{workers}"))
    steady = rows[1:] or rows
    return Measured(
        workers,
        stream,
        step,
        both=statistics.median(row.images_per_s for row in steady),
        wait_pct=statistics.median(row.wait_pct for row in steady),
    )


def train(config: BenchTrainConfig, manifest: Manifest, workers: int, run: str) -> list[Epoch]:
    """Train as train-detector does and return its epochs."""
    flags = _flags(config, workers, run)
    uri = detector_uri(run, config.projection)
    train_detector._train(flags, train_detector._recipe(flags, manifest), manifest, uri, {})
    rows = csv.reader(io.StringIO(storage.read_bytes(storage.join(uri, "metrics.csv")).decode()))
    next(rows)
    return [Epoch(int(epoch), phase, *map(float, rest)) for epoch, phase, *rest in rows]


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


def step_alone(config: BenchTrainConfig, workers: int, batch: Batch) -> Pace:
    """Run the step on one batch over and over, in as many processes as workers, each on a share of its size.

    They exchange no gradients, so that the sum is what workers could reach.
    """
    share = max(1, cluster.num_cpus() - 1) / workers
    threads = config.cpus_per_worker or max(1, int(share))
    task = run_step.options(num_cpus=min(share, threads), num_gpus=int(config.gpu))
    size = config.batch_size // workers
    part = Batch(batch.images[:size], type(batch.labels)(*(label[:size] for label in batch.labels)))
    flags = _flags(config, workers, "")
    paces = ray.get([task.remote(flags, part, threads, config.seconds) for _ in range(workers)])
    return Pace(sum(pace.rate for pace in paces), statistics.mean(pace.cpu_ms for pace in paces))


@ray.remote(max_calls=1)
def run_step(flags: TrainDetectorConfig, batch: Batch, threads: int, seconds: float) -> Pace:
    """Return the pace of one process's training step on a batch that is decoded already."""
    import keras
    import tensorflow as tf

    from featurelib.models.detector.heads import HEADS
    from featurelib.models.detector.network import build_detector
    from featurelib.models.detector.recipe import RECIPES
    from featurelib.models.detector.training import open_phase

    has_gpu = train_detector._set_up_tensorflow(tf, threads)
    precision = train_detector._auto_precision(tf) if flags.precision == "auto" else flags.precision
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    model = build_detector(head=flags.head, alpha=flags.alpha, input_size=flags.input_size, weights="none")
    recipe = replace(RECIPES[flags.head], batch_size=flags.batch_size, pretrained=False, compiled=has_gpu)
    phase = open_phase(model, HEADS[flags.head], recipe, 0, tf.distribute.get_strategy())

    def steps(count: int) -> None:
        for _ in range(count):
            sums = phase.train_step(batch.images, batch.labels)
        sums.numpy()  # a GPU works on after the call

    steps(2)
    count, started, cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        steps(10)
        count += 10 * len(batch.images)
    return Pace(count / (time.perf_counter() - started), 1e3 * (time.process_time() - cpu_s) / count)


def memory(config: BenchTrainConfig, manifest: Manifest, folder: str) -> list[dict[str, float]]:
    """Return the peak of each role, for each number of images; the shards come again as often as it takes.

    A process grows for its first seconds, whatever it works on, so that fewer images come in more epochs.
    """
    found = []
    for images in config.images:
        epochs = max(1, round(config.epochs * max(config.images) / images))
        logger.info("bench: memory, %s training images, %s epochs", images, epochs)
        with Footprint(ROLES, pause_s=1.0) as footprint:
            run = storage.join(folder, f"images-{images}")
            train(replace(config, epochs=epochs), sized(manifest, 2 * images), config.workers[0], run)
        found.append({role: mb for role, mb in footprint.peak_mb.items() if role in ROLES.values()})
    return found


def sized(manifest: Manifest, samples: int) -> Manifest:
    """Return a manifest with about so many training samples a pass: some of the shards, or all of them repeatedly.

    A shard's place follows from its objects' ids, as their split does, so that the first ones may all be training's:
    the first with validation views is taken along.
    """
    excerpt = training_excerpt(manifest, samples)
    views = {name: read_receipt(storage.join(manifest.uri, name)).views for name in manifest.shards}
    validating = next(name for name, of_shard in views.items() if of_shard.get("val"))
    shards = tuple(dict.fromkeys((*excerpt.shards, validating)))
    counts = {split: sum(views[name].get(split, 0) for name in shards) for split in ("train", "val")}
    return repeat_shards(replace(excerpt, shards=shards, views=counts), samples)


def print_rates(config: BenchTrainConfig, found: Sequence[Measured]) -> None:
    """Print the table."""
    cpus = cluster.num_cpus()
    size = f"{config.input_size} px, batches of {config.batch_size}"
    print_result(f"\nimages a second, alpha {config.alpha:g}, {size}, {cpus} CPUs")
    print_result(
        f"{'workers':>8}{'stream':>10}{'step':>10}{'both':>10}{'stall %':>10}{'predicted':>11}{'of it':>8}"
        f"{'speed-up':>10}{'stream CPU ms':>15}{'step CPU ms':>13}"
    )
    for row in found:
        predicted = row.predicted(cpus)
        print_result(
            f"{row.workers:8}{row.stream.rate:10.1f}{row.step.rate:10.1f}{row.both:10.1f}{row.wait_pct:10.1f}"
            f"{predicted:11.1f}{row.both / predicted:8.2f}{row.both / found[0].both:10.2f}"
            f"{row.stream.cpu_ms:15.2f}{row.step.cpu_ms:13.2f}"
        )
    print_result(
        "predicted: the CPUs over the CPU time an image takes in stream and step together, at most either alone"
    )


def print_memory(config: BenchTrainConfig, found: Sequence[dict[str, float]]) -> None:
    """Print the peaks by role, and how far the last is above the first."""
    size = f"{config.input_size} px, batches of {config.batch_size}"
    print_result(f"\npeak memory of its own (USS), MB, by training images; {size}, as many steps each")
    print_result(f"{'':20}" + "".join(f"{images:>10}" for images in config.images) + f"{'growth':>10}")
    for role in ROLES.values():
        peaks = [peak.get(role, math.nan) for peak in found]
        print_result(
            f"{role:20}" + "".join(f"{peak:10.0f}" for peak in peaks) + f"{100 * (peaks[-1] / peaks[0] - 1):9.1f}%"
        )
