"""`featurelib bench vectorize`: the whole job against its network alone and against decoding alone."""

import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import ray

from featurelib.datasets.schemas import vectors_schema
from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.models.detector.files import detector_uri, read_network, write_detector
from featurelib.models.detector.model import Detector
from featurelib.models.detector.samples import decode_images
from featurelib.models.inference import Device
from featurelib.models.lifter.vectors import write_vectors
from featurelib.runtime.console import print_result
from jobs.bench.renderers import Step, rate
from jobs.bench.renders import rendered_run
from jobs.bench.tables import SPREAD, cells, spread
from jobs.bench.vectorize import BenchVectorizeConfig
from jobs.drivers.vectorize import Pool, choose_pool, detect_all
from jobs.vectorize import BATCH, VectorizeConfig
from jobs.workers import cluster

logger = logging.getLogger(__name__)

SAMPLE = 256
"""Images that a measuring process holds and uses in turn."""


@dataclass(frozen=True)
class Rates:
    """Images per second, by repeat.

    Attributes:
        forward: Of the network on decoded images, by batch size.
        decode: Of decoding PNG to the network's size.
        job: Of the whole job after its workers were ready.
        start_s: Seconds until they were ready.
    """

    forward: dict[int, list[float]]
    decode: list[float]
    job: list[float]
    start_s: list[float]

    @property
    def best_forward(self) -> list[float]:
        """The forward pass at the batch size with the best median."""
        return max(self.forward.values(), key=statistics.median)

    @property
    def job_of_forward(self) -> list[float]:
        """The job over the best forward pass, repeat by repeat, because the machine's speed drifts between repeats."""
        return [job / forward for job, forward in zip(self.job, self.best_forward, strict=True)]

    @property
    def shared_of_forward(self) -> float:
        """The share of the best forward pass that remains if the same cores also decode its images."""
        return 1 / (1 + statistics.median(self.best_forward) / statistics.median(self.decode))


def run(config: BenchVectorizeConfig) -> None:
    """Measure the job and its parts, and print the table."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray runs workers at niceness 15, the bare loops run at 0
    cluster.connect_for_data()
    with tempfile.TemporaryDirectory() as folder:
        run = config.run or make_run(config, Path(folder))
        manifest = open_renders(run, config.projection)
        pool = choose_pool(ray.cluster_resources(), len(manifest.shards), config.cpus_per_worker)
        rates = measure(config, run, manifest, pool)
    print_rates(rates, pool, manifest)


def make_run(config: BenchVectorizeConfig, folder: Path) -> str:
    """Render synthetic bodies, write an untrained detector, and return the run's folder."""
    from featurelib.models.detector.network import build_detector
    from featurelib.models.export import export_network

    run = rendered_run(config, folder)
    landmarks = open_renders(run, config.projection).landmarks
    model = build_detector(landmarks, alpha=config.alpha, input_size=config.input_size, weights="none")
    about = {"alpha": config.alpha, **landmarks.to_record()}
    write_detector(export_network(model), detector_uri(run, config.projection), about)
    return run


def measure(config: BenchVectorizeConfig, run: str, manifest: Manifest, pool: Pool) -> Rates:
    """Return all rates; repeats alternate between the figures, so a slow minute affects all."""
    size = Detector.load(run, config.projection).input_size
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
    detector = Detector.load(run, projection, Device(cpus))
    images = decode_images(_sample(uris, min(batch, SAMPLE)), detector.input_size)
    images = np.resize(images, (batch, *images.shape[1:]))
    return lambda: len(detector.find(images).xy)


def decode_step(uris: Sequence[str], size: int) -> Step:
    """Return a step that decodes SAMPLE images in batches."""
    pngs = _sample(uris, SAMPLE)
    batches = [pngs[i : i + BATCH] for i in range(0, len(pngs), BATCH)]
    return lambda: sum(len(decode_images(batch, size)) for batch in batches)


def _sample(uris: Sequence[str], count: int) -> list[bytes]:
    views = chain.from_iterable(read_views(uri, columns=("png",)) for uri in uris)
    return [view["png"] for view in islice(views, count)]


def _job(config: BenchVectorizeConfig, run: str, manifest: Manifest) -> tuple[float, float]:
    """Run the job into a temporary folder; return images per second after its start, and the start in seconds."""
    flags = VectorizeConfig(run=run, projection=config.projection, cpus_per_worker=config.cpus_per_worker)
    schema = vectors_schema(manifest.landmarks, len(manifest.spec.rig))
    with tempfile.TemporaryDirectory() as folder:
        version = read_network(run, config.projection).version
        started = time.perf_counter()
        found = detect_all(flags, manifest, version)
        write_vectors(f"{folder}/vectors.parquet", found.tables, schema, {})
        seconds = time.perf_counter() - started - found.start_s
    return found.num_objects * len(manifest.spec.rig) / seconds, found.start_s


def print_rates(rates: Rates, pool: Pool, manifest: Manifest) -> None:
    """Print the table and the ratios."""
    views, size = sum(manifest.views.values()), manifest.spec.image_size
    workers = f"{pool.workers} workers of {pool.cpus} CPUs and {pool.gpus} GPUs"
    print_result(f"\nimages per second, {views} of {size} px, {workers}")
    print_result(f"{'':24}{SPREAD}")
    lines = {f"forward pass, batch {batch}": found for batch, found in rates.forward.items()}
    for name, found in {**lines, "decoding": rates.decode, "whole job": rates.job}.items():
        print_result(f"{name:24}{cells(spread(found))}")
    print_result(f"start of the workers, not counted: {statistics.median(rates.start_s):.1f} s")
    median, lowest, highest = spread(rates.job_of_forward)
    print_result(
        f"the job runs at {median:.2f} of the forward pass ({lowest:.2f} to {highest:.2f} by repeat)\n"
        f"on the same cores, decoding and then the forward pass run at {rates.shared_of_forward:.2f} of it"
    )
