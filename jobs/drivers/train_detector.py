"""RUN/renders -> RUN/detector: train the network that finds the landmarks in one image.

1. Open the manifest. An unfinished rendering, an empty split or a leaking split is rejected.
2. A single worker without a GPU trains in one task and decodes its own samples (jobs/workers/detector_training.py).
   Otherwise Ray Train starts the workers, CPU tasks decode a stream of samples, and each worker takes its share of
   every step (jobs/workers/detector_group.py).
3. After each epoch the first worker writes checkpoint.npz, metrics.csv and the TensorBoard log. After a failure the
   training resumes from there, also in a later run of the command.
4. The first worker writes the network with the best weights and, last, config.json.
"""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from featurelib.datasets.folds import Folds
from featurelib.datasets.leakage import refuse_missing_splits
from featurelib.datasets.shards import Manifest, open_renders
from featurelib.datasets.splits import warn_of_few_objects
from featurelib.errors import UsageError
from featurelib.models.detector import files
from featurelib.models.detector.recipe import RECIPES, Recipe
from featurelib.runtime import completion, storage
from featurelib.runtime.console import print_result
from jobs.train_detector import DetectorTraining, TrainDetectorConfig
from jobs.workers import cluster
from jobs.workers.detector_samples import StreamPlan
from jobs.workers.detector_training import DetectorTask, fit_alone
from jobs.workers.leakage import audit_renders, refuse_learnt
from jobs.workers.progress_queue import follow, open_queue

MACHINE_FLAGS = ("run", "workers", "cpus_per_worker", "gpu", "max_restarts")
"""Flags that do not change the trained detector: another value does not train it again."""


def run(config: TrainDetectorConfig, folds: Folds | None = None) -> None:
    """Train the detector, if its configuration or its renders are new.

    Args:
        config: the flags.
        folds: of the run, whose detectors are trained; then this one is trained on every object.
    """
    uri = files.detector_uri(config.run, config.projection)
    manifest = open_renders(config.run, config.projection)
    manifest = manifest.with_splits(folds.final_splits) if folds else manifest
    if config.weights not in ("imagenet", "none"):
        config = replace(config, weights=storage.absolute(config.weights))
    if config.start_from:
        config = replace(config, start_from=storage.absolute(config.start_from))
        refuse_other_start(config, manifest)
    _check(config, manifest)
    recipe = recipe_of(config, manifest)
    recipe = _without_validation(recipe, folds, config.projection) if folds else recipe
    resolved = _resolved(config, recipe, manifest) | ({"folds": folds.count} if folds else {})
    config_uri = storage.join(uri, "config.json")
    if not completion.is_complete(config_uri, resolved):
        if folds is None:
            audit_renders(manifest)
        if manifest.splits is None:
            warn_of_few_objects(f"train-detector {config.projection}", manifest.objects)
        completion.invalidate(config_uri)
        train_on_cluster(config, recipe, manifest, uri, resolved)
        print_result(f"{uri}: trained", {"detector": uri})
    else:
        print_result(f"{uri}: trained already; nothing to do", {"detector": uri, "done_before": True})


def _check(config: TrainDetectorConfig, manifest: Manifest) -> None:
    refuse_missing_splits(manifest, ("train", "val"))
    if 2 * manifest.views["train"] < config.batch_size:
        raise UsageError(
            f"--batch-size {config.batch_size}: expected at most the {2 * manifest.views['train']} training samples"
        )
    if config.workers < 1:
        raise UsageError(f"--workers {config.workers}: expected at least 1")
    if config.batch_size % config.workers:
        raise UsageError(f"--batch-size {config.batch_size}: expected a multiple of --workers {config.workers}")


def refuse_other_start(config: TrainDetectorConfig, manifest: Manifest) -> None:
    """Raise an error if the training cannot start from the networks of the run `start_from`.

    Raises:
        UsageError: if it is the same run, or its detector has other flags.
        DataError: if it has no detector, one of another landmark set, or one that knows a held-out object.
    """
    start = str(config.start_from)
    if start == storage.absolute(config.run):
        raise UsageError(f"--start-from {start}: expected another run than --run; give a new --run")
    uri = files.detector_uri(start, config.projection)
    refuse_learnt(manifest, start)
    files.refuse_other_landmarks(start, config.projection, manifest.landmarks)
    trained = json.loads(storage.read_bytes(storage.join(uri, "config.json")))
    for name in ("head", "alpha", "input_size"):
        if trained[name] != getattr(config, name):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} {getattr(config, name)}: the detector of --start-from has {flag} {trained[name]}")


def recipe_of(config: TrainDetectorConfig, manifest: Manifest) -> Recipe:
    """Return the head's recipe with the values that the user gave."""
    recipe = RECIPES[config.head].continued() if config.start_from else RECIPES[config.head]
    names = ("epochs", "frozen_epochs", "batch_size", "head_learning_rate", "finetune_learning_rate", "patience")
    given = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    recipe = replace(recipe, **given, pretrained=config.weights != "none")
    if config.epochs is not None:
        recipe = replace(recipe, least_steps=0)
    return recipe.for_samples(2 * manifest.views["train"])


def _without_validation(recipe: Recipe, folds: Folds, projection: str) -> Recipe:
    """Return the recipe of a training without objects that it has not seen, which cannot stop early.

    A constant learning rate ends after the share of its epochs that was best in the folds, a cosine at its end.
    """
    epochs = recipe.epochs
    if not recipe.steps:
        shares = [files.best_share(files.detector_uri(fold, projection)) for fold in folds.runs]
        epochs = max(1, round(epochs * float(np.median(shares))))
    return replace(recipe, epochs=epochs, patience=epochs)


def _resolved(config: TrainDetectorConfig, recipe: Recipe, manifest: Manifest) -> dict[str, Any]:
    what = {name: value for name, value in asdict(config).items() if name not in MACHINE_FLAGS}
    return {**what, **asdict(recipe), **manifest.landmarks.to_record(), "renders": manifest.content_hash}


def trains_alone(config: DetectorTraining) -> bool:
    """Return whether one process trains without Ray Train: a single worker on a CPU, which decodes its own samples."""
    return config.workers == 1 and not config.gpu


def train_on_cluster(
    config: TrainDetectorConfig, recipe: Recipe, manifest: Manifest, uri: str, resolved: dict[str, Any]
) -> None:
    """Train on the cluster and write the detector's folder: a single worker without a GPU alone, others by Ray Train.

    Args:
        config: the flags.
        recipe: how to train.
        manifest: of the renders.
        uri: the detector's folder.
        resolved: content of config.json; a checkpoint of another configuration is not resumed.
    """
    is_alone = trains_alone(config)
    connect = cluster.connect if is_alone else cluster.connect_for_data
    connect()
    share = cluster.largest_node_cpus() if is_alone else max(1, cluster.num_cpus() - 1) / config.workers
    threads = config.cpus_per_worker or max(1, int(share))
    queue = open_queue()
    task = DetectorTask(
        name=f"train-detector {config.projection}",
        uri=uri,
        resolved=resolved,
        recipe=recipe,
        plan=StreamPlan(
            manifest,
            input_size=config.input_size,
            batch_size=config.batch_size,
            epochs=recipe.epochs,
            shuffle_buffer=config.shuffle_buffer,
            seed=config.seed,
            mirror=config.mirror,
            occluded=config.occluded,
        ),
        head=config.head,
        alpha=config.alpha,
        weights=config.weights,
        start_uri=config.start_from and files.detector_uri(config.start_from, config.projection),
        precision=config.precision,
        workers=config.workers,
        gpu=config.gpu,
        max_restarts=config.max_restarts,
        threads=threads,
        queue=queue,
    )
    if is_alone:
        fit = fit_alone.options(num_cpus=min(cluster.training_cpus(), threads), max_retries=config.max_restarts)
        follow(fit.remote(task), queue)
    else:
        from jobs.workers.detector_group import fit_on_cluster  # imports Ray Train and Ray Data

        fit_group = fit_on_cluster.options(scheduling_strategy=cluster.on_this_node())
        follow(fit_group.remote(task, min(share, threads)), queue)
