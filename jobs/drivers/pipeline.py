"""DATASET -> RUN/report in one command. Complete steps are skipped.

1. render: both projections at once, because each mesh is loaded once for all its images.
2. For each projection: train-detector, vectorize, train-lifter, train-refiner. Projections train in parallel if the
   cluster has enough CPUs. The refiner's networks are trained for the first projection only, because its crops do not
   depend on the projection.
3. evaluate.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import ray

from featurelib.geometry import Projection
from featurelib.models.detector.files import is_trained
from jobs.drivers.train_detector import trains_alone
from jobs.evaluate import EvaluateConfig, evaluate
from jobs.pipeline import PipelineConfig
from jobs.render import RenderConfig, render
from jobs.train_detector import DetectorTraining, TrainDetectorConfig, train_detector
from jobs.train_lifter import TrainLifterConfig, train_lifter
from jobs.train_refiner import TrainRefinerConfig, train_refiner
from jobs.vectorize import VectorizeConfig, vectorize
from jobs.workers import cluster
from jobs.workers.detector_training import warm_up_training

logger = logging.getLogger(__name__)


def run(config: PipelineConfig) -> None:
    """Run all steps; each skips what is complete."""
    cluster.connect()
    is_trained_already = all(is_trained(config.run, projection) for projection in config.projections)
    warm_up = None if is_trained_already or not trains_alone(config) else warm_up_training.remote()
    render(RenderConfig(**flags_of(RenderConfig, config)))
    if warm_up:
        ray.wait([warm_up])  # the process that was idle last gets the next task
        cluster.warm_up_data()
    executor = ThreadPoolExecutor(_concurrency(config))
    first, *others = config.projections
    trained = executor.submit(_train, config, first)  # leaves the queue before the others, which wait for it
    try:
        for done in (trained, *[executor.submit(_train, config, projection, trained) for projection in others]):
            done.result()
    except KeyboardInterrupt:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    evaluate(EvaluateConfig(run=config.run))


def _concurrency(config: PipelineConfig) -> int:
    """Return how many projections train in parallel; each needs the CPUs of its workers, and others to decode."""
    cpus_each = config.workers * (config.cpus_per_worker or 1) + (not trains_alone(config))
    return max(1, min(len(config.projections), cluster.num_cpus() // cpus_each))


def _detector_cpus(config: PipelineConfig) -> int | None:
    """Return the CPUs of each training of a detector; None leaves the choice to train-detector."""
    if config.cpus_per_worker or not trains_alone(config):
        return config.cpus_per_worker
    return max(1, cluster.largest_node_cpus() // _concurrency(config))


def _train(config: PipelineConfig, projection: Projection, first: "Future[None] | None" = None) -> None:
    """Train all models of one projection, with the refiner's networks of the first one, for which it waits."""
    logger.info("pipeline: training on the %s images", projection)
    training = {**flags_of(DetectorTraining, config), "cpus_per_worker": _detector_cpus(config)}
    train_detector(TrainDetectorConfig(run=config.run, projection=projection, **training))
    vectorize(VectorizeConfig(run=config.run, projection=projection))
    train_lifter(TrainLifterConfig(run=config.run, projection=projection, seed=config.seed))
    if config.refine:
        if first:
            first.result()
        train_refiner(
            TrainRefinerConfig(
                run=config.run,
                projection=projection,
                reuse_networks=config.projections[0] if first else None,
                num_crops=config.refiner_crops,
                start_from=None if first else config.start_from,
                cpus=config.cpus_per_worker,
                seed=config.seed,
            )
        )


def flags_of(kind: type, config: Any) -> dict[str, Any]:
    """Return the fields of a config that another config has too, such as a step's flags of the pipeline's."""
    return {field.name: getattr(config, field.name) for field in fields(kind)}
