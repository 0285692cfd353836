"""`featurelib bench vectorize`: the whole job against its network alone and against decoding alone."""

import contextlib
import io
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import ray

from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.datasets.synthetic import write_dataset
from featurelib.geometry import Projection
from featurelib.models.detector.files import detector_uri
from featurelib.models.detector.samples import decode_images
from featurelib.models.lifter.vectors import write_vectors
from featurelib.runtime import cli
from featurelib.runtime.console import print_result
from featurelib.runtime.threads import limit_threads
from jobs.bench.renderers import Step, rate
from jobs.render import RenderConfig, render
from jobs.vectorize import BATCH, Pool, VectorizeConfig, choose_pool, find_all
from jobs.workers import cluster

logger = logging.getLogger(__name__)

SAMPLE = 256
"""Images that a measuring process holds and takes in turn."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchVectorizeConfig:
    """What to measure on.

    Attributes:
        run: Folder of a run with renders and a detector; default: synthetic bodies and an untrained detector.
        projection: Which images and which detector.
        objects: Bodies to make where no run is given.
        image_size: Width and height of their images, in pixels.
        alpha: Width of the untrained detector.
        input_size: Width and height of its image, in pixels.
        cpus_per_worker: As of vectorize.
        batch_sizes: Of the forward pass; the job is compared to the best of them.
        seconds: For each figure and repeat but the job's, which takes what it takes.
        repeats: Of each figure; the table gives the median and the range.
    """

    run: str | None = None
    projection: Projection = "orthographic"
    objects: int = 96
    image_size: int = 512
    alpha: float = 1.0
    input_size: int = 224
    cpus_per_worker: int | None = None
    batch_sizes: tuple[int, ...] = (BATCH, 2 * BATCH)
    seconds: float = 3.0
    repeats: int = 3


@dataclass(frozen=True)
class Rates:
    """Images a second by repeat.

    forward: of the network on decoded images, by batch size. decode: of PNG to the network's size.
    job: of the whole job since its workers were ready. start_s: seconds until they were.
    """

    forward: dict[int, list[float]]
    decode: list[float]
    job: list[float]
    start_s: list[float]

    @property
    def best_forward(self) -> list[float]:
        """At the batch size whose median is best."""
        return max(self.forward.values(), key=statistics.median)

    @property
    def job_of_forward(self) -> list[float]:
        """The job's over the best forward pass's of the same repeat: the machine's speed drifts between repeats."""
        return [job / forward for job, forward in zip(self.job, self.best_forward, strict=True)]

    @property
    def shared_of_forward(self) -> float:
        """What is left of the best forward pass if the same cores decode before it, and do nothing else."""
        return 1 / (1 + statistics.median(self.best_forward) / statistics.median(self.decode))


def bench_vectorize(config: BenchVectorizeConfig = BenchVectorizeConfig()) -> None:
    """Images a second of the whole vectorize job, of its network alone and of decoding alone, on one machine.

    With the defaults it takes about two minutes on two quiet cores. On more than one GPU the forward pass alone is
    not measured rightly: its processes all take the first.

    Example: featurelib bench vectorize --run runs/heads
    """
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray gives its workers 15, the bare loops run at 0
    cluster.connect_for_data()
    with tempfile.TemporaryDirectory() as folder:
        run = config.run or make_run(config, Path(folder))
        manifest = open_renders(run, config.projection)
        pool = choose_pool(ray.cluster_resources(), len(manifest.shards), config.cpus_per_worker)
        rates = measure(config, run, manifest, pool)
    print_rates(rates, pool, manifest)


def make_run(config: BenchVectorizeConfig, folder: Path) -> str:
    """Render synthetic bodies, write an untrained detector, and return the run's folder."""
    from featurelib.models.detector.model import save_detector
    from featurelib.models.detector.network import build_detector

    logger.info("bench: rendering %s synthetic bodies", config.objects)
    dataset, run = folder / "bodies", str(folder / "run")
    write_dataset(dataset, config.objects)
    flags = RenderConfig(
        dataset=str(dataset),
        run=run,
        projections=(config.projection,),
        image_size=config.image_size,
        backend="raster",
    )
    with contextlib.redirect_stdout(io.StringIO()):
        render(flags)
    model = build_detector(alpha=config.alpha, input_size=config.input_size, weights="none")
    save_detector(model, detector_uri(run, config.projection), {"alpha": config.alpha})
    return run


def measure(config: BenchVectorizeConfig, run: str, manifest: Manifest, pool: Pool) -> Rates:
    """Return all rates; the repeats go round the figures, so that a slow minute hits all alike."""
    size = _input_size(run, config.projection)
    rates = Rates({batch: [] for batch in config.batch_sizes}, [], [], [])
    for _ in range(config.repeats):
        for batch, found in rates.forward.items():
            logger.info("bench: forward pass, %s images", batch)
            arguments = (run, config.projection, manifest.shard_uris, batch, pool.cpus)
            found.append(rate(forward_step, arguments, processes=pool.workers, seconds=config.seconds))
        logger.info("bench: decoding")
        processes = pool.workers * pool.cpus
        shards = (manifest.shard_uris, size)
        rates.decode.append(rate(decode_step, shards, processes=processes, seconds=config.seconds))
        job_rate, start_s = _job(config, run, manifest)
        rates.job.append(job_rate)
        rates.start_s.append(start_s)
    return rates


def forward_step(run: str, projection: str, uris: Sequence[str], batch: int, cpus: int) -> Step:
    """Return a step that runs the network on a batch of decoded images."""
    limit_threads(cpus)
    from featurelib.models.detector.model import Detector

    detector = Detector.load(run, projection)
    images = decode_images(_sample(uris, min(batch, SAMPLE)), detector.input_size)
    images = np.resize(images, (batch, *images.shape[1:]))
    return lambda: len(detector.find(images).xy)


def decode_step(uris: Sequence[str], size: int) -> Step:
    """Return a step that decodes a batch of images."""
    pngs = _sample(uris, SAMPLE)
    batches = [pngs[i : i + BATCH] for i in range(0, len(pngs), BATCH)]
    return lambda: sum(len(decode_images(batch, size)) for batch in batches)


def _sample(uris: Sequence[str], count: int) -> list[bytes]:
    views = chain.from_iterable(read_views(uri, columns=("png",)) for uri in uris)
    return [view["png"] for view, _ in zip(views, range(count), strict=False)]


def _input_size(run: str, projection: str) -> int:
    from featurelib.models.detector.model import Detector

    return Detector.load(run, projection).input_size


def _job(config: BenchVectorizeConfig, run: str, manifest: Manifest) -> tuple[float, float]:
    """Run the job into a folder of its own; return images a second after its start, and the start in seconds."""
    flags = VectorizeConfig(run=run, projection=config.projection, cpus_per_worker=config.cpus_per_worker)
    num_views = len(manifest.spec.rig)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        found = find_all(flags, manifest)
        write_vectors(f"{folder}/vectors.parquet", found.rows, num_views, {})
        seconds = time.perf_counter() - started - found.start_s
    return len(found.rows) * num_views / seconds, found.start_s


def print_rates(rates: Rates, pool: Pool, manifest: Manifest) -> None:
    """Print the table and the ratios."""
    views, size = sum(manifest.views.values()), manifest.spec.image_size
    print_result(
        f"\nimages a second, {views} of {size} px, {pool.workers} workers of {pool.cpus} CPUs and {pool.gpus} GPUs"
    )
    print_result(f"{'':24}{'median':>10}{'lowest':>10}{'highest':>10}")
    lines = {f"forward pass, batch {batch}": found for batch, found in rates.forward.items()}
    for name, found in {**lines, "decoding": rates.decode, "whole job": rates.job}.items():
        print_result(
            f"{name:24}" + "".join(f"{value:10.1f}" for value in (statistics.median(found), min(found), max(found)))
        )
    print_result(f"start of the workers, not counted: {statistics.median(rates.start_s):.1f} s")
    ratios = rates.job_of_forward
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print_result(f"the job runs at {statistics.median(ratios):.2f} of the forward pass ({spread} by repeat)")
    print_result(f"on the same cores, decoding and then the forward pass run at {rates.shared_of_forward:.2f} of it")
