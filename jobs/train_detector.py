"""RUN/renders -> RUN/detector: train the network that finds the landmarks in one image, on Ray Train.

1. Open the manifest. An unfinished rendering, an empty split or a leaking split is rejected.
2. Stream samples from the shards (jobs/workers/detector_stream.py): CPU tasks mirror, shuffle and decode; each worker
   takes its share of every step.
3. Train on every worker (jobs/workers/detector_training.py). After each epoch the first worker writes checkpoint.npz,
   metrics.csv and the TensorBoard log. After a failure the training resumes from there, also in a later run of the
   command.
4. The first worker writes model.keras with the best weights and, last, config.json.
"""

import os
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from featurelib.datasets.leakage import refuse_missing_splits
from featurelib.datasets.shards import Manifest, open_renders
from featurelib.errors import UsageError
from featurelib.geometry import Projection
from featurelib.models.detector import files
from featurelib.models.detector.recipe import RECIPES, Recipe
from featurelib.runtime import cli, completion, storage
from featurelib.runtime.console import print_result
from jobs.workers import cluster
from jobs.workers.detector_stream import StreamPlan
from jobs.workers.detector_training import DetectorTask, fit_on_cluster
from jobs.workers.leakage import audit_renders
from jobs.workers.progress_queue import follow, open_queue


@cli.config
@dataclass(frozen=True, kw_only=True)
class DetectorTraining:
    """How to train a detector.

    Attributes:
        head: Output of the network: heatmap (one map for each instance) or regression (the near instance's position).
        weights: Initial weights of the backbone: imagenet (downloaded by Keras), none, or the path of an .h5 or .npz
            without top.
        alpha: Width of MobileNetV2: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        input_size: Width and height of the network's image, in pixels; a multiple of 32.
        workers: Number of processes that share each step.
        cpus_per_worker: CPU threads of each worker's step; default: all CPUs but one, shared by the workers.
        gpu: Use one GPU per worker.
        precision: Precision of the step: float32, bfloat16 (mixed), or auto (bfloat16 on GPUs that support it).
        max_restarts: Maximum number of restarts from the last checkpoint after the loss of a worker or node.
        epochs: Maximum number of epochs of both phases together; default for heatmap: 8 (up to 40 on few objects), for
            regression: 60.
        frozen_epochs: Epochs of a first phase that trains only the head; default for heatmap: 0, for regression: 15.
        batch_size: Samples per step, over all workers; the result does not depend on the number of workers.
        head_learning_rate: Learning rate (Adam) of the first phase; default: 1e-3.
        finetune_learning_rate: Learning rate (Adam) of the second phase; default for heatmap: 2e-3, for regression:
            1e-4.
        patience: Epochs without a lower validation error after which training stops.
        mirror: Train on each image and its mirror image; otherwise on each image twice.
        occluded: Also train on views in which the near landmark is occluded.
        shuffle_buffer: Number of samples mixed in memory; the order of the shards is random too.
        seed: Seed of the weights, the dropout and the order of the samples.
    """

    head: Literal["heatmap", "regression"] = "heatmap"
    weights: str = "imagenet"
    alpha: float = 0.35
    input_size: int = 128
    workers: int = 1
    cpus_per_worker: int | None = None
    gpu: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_restarts: int = 5
    epochs: int | None = None
    frozen_epochs: int | None = None
    batch_size: int = 32
    head_learning_rate: float | None = None
    finetune_learning_rate: float | None = None
    patience: int = 15
    mirror: bool = True
    occluded: bool = True
    shuffle_buffer: int = 2000
    seed: int = 0


@cli.config
@dataclass(frozen=True, kw_only=True)
class TrainDetectorConfig(DetectorTraining):
    """What to train a detector on, and how.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Projection of the images to train on.
    """

    run: str
    projection: Projection = "orthographic"


MACHINE_FLAGS = ("run", "workers", "cpus_per_worker", "gpu", "max_restarts")
"""Flags that do not change the trained detector: another value does not train it again."""


def train_detector(config: TrainDetectorConfig) -> None:
    """Train the network that finds the landmarks in one image.

    Example: featurelib train-detector --run runs/heads --projection orthographic --alpha 0.35
    """
    uri = files.detector_uri(config.run, config.projection)
    manifest = open_renders(config.run, config.projection)
    if config.weights not in ("imagenet", "none"):
        config = replace(config, weights=storage.absolute(config.weights))
    _check(config, manifest)
    recipe = recipe_of(config, manifest)
    resolved = _resolved(config, recipe, manifest)
    config_uri = storage.join(uri, "config.json")
    if not completion.is_complete(config_uri, resolved):
        audit_renders(manifest)
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


def recipe_of(config: TrainDetectorConfig, manifest: Manifest) -> Recipe:
    """Return the head's recipe with the values that the user gave."""
    recipe = RECIPES[config.head]
    names = ("epochs", "frozen_epochs", "batch_size", "head_learning_rate", "finetune_learning_rate", "patience")
    given = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    recipe = replace(recipe, **given, pretrained=config.weights != "none")
    if config.epochs is not None:
        recipe = replace(recipe, least_steps=0)
    return recipe.for_samples(2 * manifest.views["train"])


def _resolved(config: TrainDetectorConfig, recipe: Recipe, manifest: Manifest) -> dict[str, Any]:
    what = {name: value for name, value in asdict(config).items() if name not in MACHINE_FLAGS}
    return {**what, **asdict(recipe), "renders": manifest.content_hash}


def train_on_cluster(
    config: TrainDetectorConfig, recipe: Recipe, manifest: Manifest, uri: str, resolved: dict[str, Any]
) -> None:
    """Train with Ray Train and write the detector's folder.

    Args:
        config: the flags.
        recipe: how to train.
        manifest: of the renders.
        uri: the detector's folder.
        resolved: content of config.json; a checkpoint of another configuration is not resumed.
    """
    cluster.connect_for_data()
    share = max(1, cluster.num_cpus() - 1) / config.workers
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
        precision=config.precision,
        workers=config.workers,
        gpu=config.gpu,
        max_restarts=config.max_restarts,
        threads=threads,
        queue=queue,
    )
    follow(fit_on_cluster.remote(task, min(share, threads)), queue)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.run(cli.single_command(train_detector, "train_detector"))
