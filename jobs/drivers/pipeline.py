"""DATASET -> RUN/report in one command. Complete steps are skipped.

1. render: both projections at once, because each mesh is loaded once for all its images.
2. For each projection: train-detector, vectorize, train-lifter, train-refiner. Projections train in parallel if the
   cluster has enough CPUs. The refiner's networks are trained for the first projection only, because its crops do not
   depend on the projection.
3. evaluate.

With folds, step 2 runs for each fold, then once more for the final models, and the report is of the folds
(jobs/drivers/folds.py).
"""

import ray

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.folds import fold_uri, refuse_folds
from featurelib.errors import UsageError
from featurelib.models.detector.files import is_trained
from jobs.drivers import folds, render
from jobs.drivers.train_detector import trains_alone
from jobs.drivers.training import flags_of, train_projections
from jobs.evaluate import EvaluateConfig, evaluate
from jobs.pipeline import PipelineConfig
from jobs.render import RenderConfig
from jobs.workers import cluster
from jobs.workers.detector_training import warm_up_training


def run(config: PipelineConfig) -> None:
    """Run all steps; each skips what is complete."""
    if config.folds is not None:
        if config.start_from:
            raise UsageError(
                f"--folds {config.folds} --start-from {config.start_from}: its networks were trained on objects of the "
                "folds; leave out one of the two"
            )
        refuse_folds(open_dataset(config.dataset), config.folds)
    cluster.connect()
    warm_up = warm_up_training.remote() if trains_alone(config) and not _is_trained(config) else None
    render.run(RenderConfig(**flags_of(RenderConfig, config)), warns=config.folds is None)
    if warm_up:
        ray.wait([warm_up])  # the process that was idle last gets the next task
        cluster.warm_up_data()
    if config.folds is not None:
        folds.run(config, config.folds)
    else:
        train_projections(config)
        evaluate(EvaluateConfig(run=config.run))


def _is_trained(config: PipelineConfig) -> bool:
    """Return whether all detectors are trained."""
    runs = [config.run, *(fold_uri(config.run, fold) for fold in range(config.folds or 0))]
    return all(is_trained(run, projection) for run in runs for projection in config.projections)
