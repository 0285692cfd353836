"""RUN/renders -> RUN/folds, RUN/report and, unless the user declines, final models: cross-fitting on all objects.

1. Deal the groups of the rendered objects into folds, and record them. A fold is a run of its own, with a manifest that
   shares the images and has other splits.
2. Train the folds side by side, as many as the cluster has room for. Each is trained on a share of a training's
   pictures; each of its steps resumes by itself.
3. Train the final models on every object. Their vectors, first estimates, shots and error bars come from the folds'
   models that have not seen the object (jobs/workers/unseen.py).
4. Write the folds' predictions and the report (jobs/drivers/fold_report.py).
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from featurelib.datasets.folds import Folds, deal, picture_share
from featurelib.datasets.shards import Manifest, open_renders, renders_uri
from featurelib.geometry import Projection
from jobs.drivers.fold_report import report_folds
from jobs.drivers.train_detector import recipe_of
from jobs.drivers.training import concurrency, detector_cpus, flags_of, running, train, train_projections
from jobs.pipeline import PipelineConfig
from jobs.train_detector import DetectorTraining, TrainDetectorConfig
from jobs.train_refiner import TrainRefinerConfig
from jobs.workers.leakage import gather_contents
from jobs.workers.refiner_task import default_crops

logger = logging.getLogger(__name__)


def run(config: PipelineConfig, count: int) -> None:
    """Train the folds of a rendered run and the final models, and write the report; each step skips what is done."""
    manifests = {projection: open_renders(config.run, projection) for projection in config.projections}
    folds = _dealt(config.run, manifests, count)
    num_parallel = concurrency(config, count)
    logger.info("pipeline: %d folds of %s objects", count, ", ".join(map(str, folds.sizes)))
    configs = [
        fold_config(config, folds, fold, manifests[config.projections[0]], num_parallel) for fold in range(count)
    ]
    with running(num_parallel) as executor:
        for done in [executor.submit(_train_fold, of_fold, fold) for fold, of_fold in enumerate(configs)]:
            done.result()
    if config.final:
        logger.info("pipeline: final models, on all %d objects", len(folds.fold_of))
        train_projections(config, folds)
    report_folds(folds, config.projections, is_final=config.final)


def _dealt(run: str, manifests: Mapping[Projection, Manifest], count: int) -> Folds:
    """Return the folds of all rendered objects, and write the manifests of the folds' runs."""
    groups = {}
    for projection, manifest in manifests.items():
        rows = gather_contents(manifest).rows
        groups[projection] = dict(zip(*(rows[name].to_pylist() for name in ("object_id", "group")), strict=True))
    folds = deal(run, {object_id: group for each in groups.values() for object_id, group in each.items()}, count)
    for fold, uri in enumerate(folds.runs):
        splits = folds.splits(fold)
        for projection, manifest in manifests.items():
            own = {object_id: splits[object_id] for object_id in groups[projection]}
            manifest.with_splits(own, renders_uri(uri, projection)).write()
    return folds


def fold_config(
    config: PipelineConfig, folds: Folds, fold: int, manifest: Manifest, num_parallel: int
) -> PipelineConfig:
    """Return the flags of a fold: its run, its share of the pictures, and its share of the CPUs.

    The detector has as many steps as the share of one on all objects, and so more epochs than the share.

    Args:
        config: flags of the pipeline.
        folds: of the run.
        fold: its number.
        manifest: of the images of the first projection.
        num_parallel: folds that are trained at the same time.
    """
    flags = TrainDetectorConfig(run=config.run, **flags_of(DetectorTraining, config))
    every, own = (manifest.with_splits(splits) for splits in (folds.final_splits, folds.splits(fold)))
    share = picture_share(own.objects["train"], folds.count)
    recipe = recipe_of(flags, every)
    epochs = max(1, round(share * recipe.epochs * every.views["train"] / own.views["train"]))
    crops = round(share * (config.refiner_crops or default_crops(manifest.landmarks)))
    return replace(
        config,
        run=folds.runs[fold],
        folds=None,
        epochs=epochs,
        frozen_epochs=round(recipe.frozen_epochs * epochs / recipe.epochs),
        refiner_crops=max(crops, 2 * TrainRefinerConfig.batch_size),
        cpus_per_worker=detector_cpus(config, num_parallel) if num_parallel > 1 else config.cpus_per_worker,
    )


def _train_fold(config: PipelineConfig, fold: int) -> None:
    """Train all models of a fold, one projection after the other."""
    logger.info("pipeline: fold %d, %s", fold, config.run)
    for projection in config.projections:
        train(config, projection)
