"""The training of all models of one projection, from renders to refiner, which `pipeline` runs."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from featurelib.datasets.folds import Folds
from featurelib.geometry import Projection
from jobs.drivers import train_detector as detector
from jobs.drivers import train_lifter as lifter
from jobs.drivers import train_refiner as refiner
from jobs.drivers import vectorize
from jobs.drivers.fold_vectors import gather_vectors
from jobs.pipeline import PipelineConfig
from jobs.train_detector import DetectorTraining, TrainDetectorConfig
from jobs.train_lifter import TrainLifterConfig
from jobs.train_refiner import TrainRefinerConfig
from jobs.vectorize import VectorizeConfig
from jobs.workers import cluster

logger = logging.getLogger(__name__)


def concurrency(config: PipelineConfig, num_trainings: int) -> int:
    """Return how many trainings run in parallel; each needs the CPUs of its workers, and others to decode."""
    cpus_each = config.workers * (config.cpus_per_worker or 1) + (not detector.trains_alone(config))
    return max(1, min(num_trainings, cluster.num_cpus() // cpus_each))


def detector_cpus(config: PipelineConfig, num_parallel: int) -> int | None:
    """Return the CPUs of each training of a detector; None leaves the choice to train-detector."""
    if config.cpus_per_worker or not detector.trains_alone(config):
        return config.cpus_per_worker
    return max(1, cluster.largest_node_cpus() // num_parallel)


def train_projections(config: PipelineConfig, folds: Folds | None = None) -> None:
    """Train all models of a run, on its projections in parallel if the cluster has room; each step skips what is done.

    Args:
        config: flags of the pipeline.
        folds: of the run, whose models are trained; then these models are trained on every object.
    """
    num_parallel = concurrency(config, len(config.projections))
    first, *others = config.projections
    with running(num_parallel) as executor:
        trained = executor.submit(train, config, first, num_parallel, folds)  # leaves the queue before the others
        waiting = [executor.submit(train, config, p, num_parallel, folds, trained) for p in others]
        for done in (trained, *waiting):
            done.result()


def train(
    config: PipelineConfig,
    projection: Projection,
    num_parallel: int = 1,
    folds: Folds | None = None,
    first: "Future[None] | None" = None,
) -> None:
    """Train all models of one projection, with the refiner's networks of the first one.

    Args:
        config: flags of the pipeline.
        projection: of the images.
        num_parallel: trainings that run at the same time.
        folds: as of `train_projections`.
        first: the training of the first projection, which this one waits for before the refiner.
    """
    logger.info("pipeline: training on the %s images", projection)
    training = {**flags_of(DetectorTraining, config), "cpus_per_worker": detector_cpus(config, num_parallel)}
    detector.run(TrainDetectorConfig(run=config.run, projection=projection, **training), folds)
    if folds:
        gather_vectors(folds, projection)
    else:
        vectorize.run(VectorizeConfig(run=config.run, projection=projection))
    lifter.run(TrainLifterConfig(run=config.run, projection=projection, seed=config.seed), folds)
    if config.refine:
        if first:
            first.result()
        reused = config.projections[0] if projection != config.projections[0] else None
        flags = TrainRefinerConfig(
            run=config.run,
            projection=projection,
            reuse_networks=reused,
            num_crops=config.refiner_crops,
            start_from=None if reused else config.start_from,
            cpus=config.cpus_per_worker,
            seed=config.seed,
        )
        refiner.run(flags, folds)


@contextmanager
def running(num_parallel: int) -> Iterator[ThreadPoolExecutor]:
    """Yield an executor of threads; after an error, what has not begun is not run, and the error does not wait."""
    executor = ThreadPoolExecutor(num_parallel)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def flags_of(kind: type, config: Any) -> dict[str, Any]:
    """Return the fields of a config that another config has too, such as a step's flags of the pipeline's."""
    return {field.name: getattr(config, field.name) for field in fields(kind)}
