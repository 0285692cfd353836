"""DATASET -> RUN/report in one command. Every step that has ended already is left alone.

1. render: both projections at once, since a mesh is loaded once for all its images.
2. For each projection: train-detector, vectorize, train-lifter, train-refiner. Side by side where the cluster has room;
   the refiner's networks are trained once, for the first projection, since crops do not depend on it.
3. evaluate.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any

from featurelib.geometry import Projection
from featurelib.runtime import cli
from jobs.evaluate import EvaluateConfig, evaluate
from jobs.render import RenderConfig, render
from jobs.train_detector import DetectorTraining, TrainDetectorConfig, train_detector
from jobs.train_lifter import TrainLifterConfig, train_lifter
from jobs.train_refiner import TrainRefinerConfig, train_refiner
from jobs.vectorize import VectorizeConfig, vectorize
from jobs.workers import cluster

logger = logging.getLogger(__name__)


@cli.config
@dataclass(frozen=True, kw_only=True)
class PipelineConfig(RenderConfig, DetectorTraining):
    """The flags of all steps: what to render, and how to train.

    Attributes:
        refine: Train the crop refiner too.
        refiner_crops: Crops that each of its two looks is trained on.
    """

    refine: bool = True
    refiner_crops: int = 51_200


def pipeline(config: PipelineConfig) -> None:
    """Dataset to report in one command; goes on where it stopped.

    Example: featurelib pipeline --dataset heads --run runs/heads --alpha 0.35
    """
    cluster.connect()
    render(RenderConfig(**_flags_of(RenderConfig, config)))
    lanes = ThreadPoolExecutor(_lanes(config))
    first, *others = config.projections
    trained = lanes.submit(_train, config, first)  # leaves the queue before the others, which wait for it
    try:
        for done in (trained, *[lanes.submit(_train, config, projection, trained) for projection in others]):
            done.result()
    except KeyboardInterrupt:
        lanes.shutdown(wait=False, cancel_futures=True)
        raise
    evaluate(EvaluateConfig(run=config.run))


def _lanes(config: PipelineConfig) -> int:
    """Return how many projections train at once: one for every two CPUs that a worker and its decoding need."""
    room = cluster.num_cpus() // (config.workers * (config.cpus_per_worker or 1) + 1)
    return max(1, min(len(config.projections), room))


def _train(config: PipelineConfig, projection: Projection, first: "Future[None] | None" = None) -> None:
    """Train on one projection's images; the refiner's networks are those of the first projection, once it is done."""
    logger.info("pipeline: training on the %s images", projection)
    training = _flags_of(DetectorTraining, config)
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
                cpus=config.cpus_per_worker,
                seed=config.seed,
            )
        )


def _flags_of(kind: type, config: PipelineConfig) -> dict[str, Any]:
    values = asdict(config)
    return {field.name: values[field.name] for field in fields(kind)}


if __name__ == "__main__":
    cli.run(cli.single_command(pipeline, "pipeline"))
