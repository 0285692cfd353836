"""The training step alone, on a batch that is already decoded: images per second and CPU time per image."""

import statistics
import time
from dataclasses import replace
from typing import NamedTuple

import ray

from featurelib.geometry import LandmarkSet
from featurelib.models.detector.samples import Batch
from featurelib.runtime.threads import limit_threads
from jobs.train_detector import TrainDetectorConfig
from jobs.workers import cluster
from jobs.workers.detector_training import dtype_policy


class Pace(NamedTuple):
    """Images per second, and the CPU time per image in ms, over all processes."""

    rate: float
    cpu_ms: float


def step_alone(flags: TrainDetectorConfig, landmarks: LandmarkSet, batch: Batch, seconds: float) -> Pace:
    """Repeat the step on one batch in as many processes as workers, each with its share of the batch.

    The processes exchange no gradients, so the sum of their rates is an upper bound for the workers.
    """
    share = max(1, cluster.num_cpus() - 1) / flags.workers
    threads = flags.cpus_per_worker or max(1, int(share))
    task = run_step.options(num_cpus=min(share, threads), num_gpus=int(flags.gpu))
    size = flags.batch_size // flags.workers
    part = Batch(batch.images[:size], type(batch.labels)(*(label[:size] for label in batch.labels)))
    paces = ray.get([task.remote(flags, landmarks, part, threads, seconds) for _ in range(flags.workers)])
    return Pace(sum(pace.rate for pace in paces), statistics.mean(pace.cpu_ms for pace in paces))


@ray.remote(max_calls=1)
def run_step(flags: TrainDetectorConfig, landmarks: LandmarkSet, batch: Batch, threads: int, seconds: float) -> Pace:
    """Return the pace of one process."""
    limit_threads(threads)
    import keras
    import tensorflow as tf

    from featurelib.models.detector.heads import HEADS
    from featurelib.models.detector.network import build_detector
    from featurelib.models.detector.recipe import RECIPES
    from featurelib.models.detector.training import open_phase

    keras.config.set_dtype_policy(dtype_policy(flags.precision))
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    model = build_detector(landmarks, head=flags.head, alpha=flags.alpha, input_size=flags.input_size, weights="none")
    recipe = replace(RECIPES[flags.head], batch_size=flags.batch_size, pretrained=False, compiled=has_gpu)
    phase = open_phase(model, HEADS[flags.head], recipe, 0, tf.distribute.get_strategy())

    def steps(count: int) -> None:
        for _ in range(count):
            sums = phase.train_step(batch.images, batch.labels)
        sums.numpy()  # waits for the GPU

    steps(2)
    count, started, cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        steps(10)
        count += 10 * len(batch.images)
    return Pace(count / (time.perf_counter() - started), 1e3 * (time.process_time() - cpu_s) / count)
