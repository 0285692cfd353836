"""RUN/renders -> RUN/detector: the network that finds the near landmark in one picture, on Ray Train.

1. Open the manifest; an unfinished rendering or a split without both sides is refused.
2. Stream samples from the shards: CPU tasks decode and mirror, each worker takes its share.
3. Train in two phases on every worker; the first worker keeps the best weights.
4. The first worker writes model.keras, metrics.csv and, last, config.json.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, Literal

import ray
import ray.train
from ray.data import ExecutionOptions
from ray.train import DataConfig, RunConfig, ScalingConfig
from ray.util.queue import Queue

from featurelib import cli, stages, storage
from featurelib.errors import DataError, FeaturelibError, UsageError
from featurelib.geometry import Projection
from featurelib.progress import duration, say
from featurelib.shards import Manifest, open_renders
from jobs import cluster
from jobs.streams import passes_of, sample_stream


@cli.config
@dataclass(frozen=True, kw_only=True)
class DetectorTraining:
    """How to train a detector.

    Attributes:
        head: What the network says: regression (the near landmark's position, directly).
        weights: Of the backbone: imagenet (Keras downloads them), none, or the path of an .h5 or .npz without top.
        alpha: Width of MobileNetV2: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        input_size: Width and height of the network's picture, in pixels; a multiple of 32.
        workers: Processes that share each step.
        cpus_per_worker: CPU threads of each worker's step; default: what is left beside one for decoding.
        gpu: One GPU for each worker.
        epochs: Of both phases together, at most.
        frozen_epochs: Of the first phase, in which only the head trains.
        batch_size: Samples a step, over all workers.
        head_rate: Learning rate of the first phase (Adam).
        tune_rate: Learning rate of the second phase.
        patience: Epochs without a better validation loss after which training stops.
        shuffle_buffer: Samples mixed in memory, beside the random order of the shards.
        seed: Of the weights, the dropout and the order of the samples.
    """

    head: Literal["regression"] = "regression"
    weights: str = "imagenet"
    alpha: float = 1.0
    input_size: int = 224
    workers: int = 1
    cpus_per_worker: int | None = None
    gpu: bool = False
    epochs: int = 60
    frozen_epochs: int = 15
    batch_size: int = 32
    head_rate: float = 1e-3
    tune_rate: float = 1e-4
    patience: int = 15
    shuffle_buffer: int = 2000
    seed: int = 0


@cli.config
@dataclass(frozen=True, kw_only=True)
class TrainDetectorConfig(DetectorTraining):
    """What to train, and how.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Which pictures to train on.
    """

    run: str
    projection: Projection = "orthographic"


MACHINE_FLAGS = ("run", "workers", "cpus_per_worker", "gpu")
"""Flags that say where to train, not what: another value is no reason to train again."""


def train_detector(config: TrainDetectorConfig) -> None:
    """Train the network that finds the landmark in one picture.

    Example: featurelib train-detector --run runs/heads --projection orthographic --alpha 0.35
    """
    uri = storage.join(storage.absolute(config.run), "detector", config.projection)
    manifest = open_renders(config.run, config.projection)
    for split in ("train", "val"):
        if not manifest.views.get(split):
            raise DataError(
                f"{manifest.uri}: no views in the {split} split ({manifest.objects}); label more objects or set `split`"
            )
    if config.weights not in ("imagenet", "none"):
        config = replace(config, weights=storage.absolute(config.weights))
    if 2 * manifest.views["train"] < config.batch_size:
        raise UsageError(
            f"--batch-size {config.batch_size}: there are {2 * manifest.views['train']} training samples in all"
        )
    if config.batch_size % config.workers:
        raise UsageError(f"--batch-size {config.batch_size}: expected a multiple of --workers {config.workers}")
    resolved = _resolved(config, manifest)
    config_uri = storage.join(uri, "config.json")
    if not stages.is_done(config_uri, resolved):
        stages.mark_begun(config_uri)
        _train(config, manifest, uri, resolved)
        print(f"{uri}: trained")
    else:
        print(f"{uri}: trained already; nothing to do")


def _resolved(config: TrainDetectorConfig, manifest: Manifest) -> dict[str, Any]:
    what = {name: value for name, value in asdict(config).items() if name not in MACHINE_FLAGS}
    return {**what, "renders": manifest.content_hash}


def _train(config: TrainDetectorConfig, manifest: Manifest, uri: str, resolved: dict[str, Any]) -> None:
    """Run Ray Train and repeat the epochs' lines here, since only this process has the user's terminal."""
    cluster.connect_for_data()
    threads = config.cpus_per_worker or max(1, (cluster.num_cpus() - 1) // config.workers)
    lines = Queue(actor_options={"num_cpus": 0})
    loop = {"config": config, "uri": uri, "resolved": resolved, "threads": threads, "lines": lines}
    training = fit_on_cluster.remote(loop, manifest)
    while not ray.wait([training], timeout=1)[0] or not lines.empty():
        for line in lines.get_nowait_batch(lines.qsize()):
            say(line)
    lines.shutdown()
    try:
        ray.get(training)
    except ray.exceptions.RayTaskError as error:
        raise _user_error(error) from error


@ray.remote(num_cpus=0, max_retries=0)
def fit_on_cluster(loop: dict[str, Any], manifest: Manifest) -> None:
    """Run Ray Train to its end. A task of its own, since TensorflowTrainer brings TensorFlow and its chatter along."""
    from ray.train.tensorflow import TensorflowTrainer

    cluster.connect_for_data()
    config: TrainDetectorConfig = loop["config"]
    filesystem, path = storage.arrow_filesystem(loop["uri"])
    samples = sample_stream(manifest, config.input_size, epochs=config.epochs, seed=config.seed)
    TensorflowTrainer(
        _train_worker,
        train_loop_config=loop,
        scaling_config=ScalingConfig(
            num_workers=config.workers,
            use_gpu=config.gpu,
            resources_per_worker={"CPU": loop["threads"], "GPU": int(config.gpu)},
        ),
        run_config=RunConfig(name="train", storage_path=path, storage_filesystem=filesystem),
        datasets={"samples": samples},
        dataset_config=DataConfig(execution_options=ExecutionOptions(preserve_order=True)),
    ).fit()


def _user_error(error: BaseException) -> BaseException:
    """Return what the user did wrong if that is why the workers failed, else the failure itself."""
    return next((cause for cause in _causes(error) if isinstance(cause, FeaturelibError)), error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all behind it, through Ray's wrappers."""
    if error is not None:
        yield error
        for failure in getattr(error, "worker_failures", {}).values():
            yield from _causes(failure)
        yield from _causes(getattr(error, "cause", None) or error.__cause__)


def _train_worker(loop: dict[str, Any]) -> None:
    """One worker's process. TensorFlow is imported here, after its environment is set."""
    config: TrainDetectorConfig = loop["config"]
    import keras
    import tensorflow as tf

    from featurelib.detector.model import save_detector
    from featurelib.detector.network import build_detector
    from featurelib.detector.training import Epoch, Recipe, fit

    tf.config.threading.set_intra_op_parallelism_threads(loop["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    keras.utils.set_random_seed(config.seed)
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if config.workers > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        model = build_detector(
            head=config.head, alpha=config.alpha, input_size=config.input_size, weights=config.weights
        )
    recipe = Recipe(
        epochs=config.epochs,
        frozen_epochs=config.frozen_epochs,
        batch_size=config.batch_size,
        head_rate=config.head_rate,
        tune_rate=config.tune_rate,
        patience=config.patience,
        keep_statistics=config.weights != "none",
    )
    is_first = ray.train.get_context().get_world_rank() == 0
    rows: list[Epoch] = []

    def on_epoch(row: Epoch) -> None:
        rows.append(row)
        if is_first:
            loop["lines"].put(_line(config, row))

    best = fit(model, recipe, *_open_passes(config), on_epoch, strategy)
    if is_first:
        save_detector(model, loop["uri"], loop["resolved"], _csv(rows))
        loop["lines"].put(
            f"train-detector {config.projection}: best epoch {best.epoch + 1}, "
            f"{best.val_error_pct:.2f} % of the width on validation views"
        )
    ray.train.report(best._asdict())


def _open_passes(config: TrainDetectorConfig) -> tuple[Callable[[], Iterator[Any]], Callable[[], Iterator[Any]]]:
    """Return two functions that open this worker's share of the next pass, of training and of validation.

    They are to be called in turn: the stream holds the passes in that order.
    """
    from featurelib.detector.samples import as_rgb, shuffled_batches

    passes = passes_of(ray.train.get_dataset_shard("samples"))
    size, epochs = config.batch_size // config.workers, count()

    def training() -> Iterator[tuple[Any, Any]]:
        for pictures, xy in shuffled_batches(
            next(passes), size, config.shuffle_buffer, seed=config.seed + next(epochs)
        ):
            yield as_rgb(pictures).astype("float32"), xy

    def validation() -> Iterator[tuple[Any, Any]]:
        for pictures, xy in next(passes):
            yield as_rgb(pictures).astype("float32"), xy

    return training, validation


def _line(config: TrainDetectorConfig, row: Any) -> str:
    left = duration((config.epochs - row.epoch - 1) * row.seconds)
    return (
        f"train-detector {config.projection}: epoch {row.epoch + 1}/{config.epochs} ({row.phase}), "
        f"loss {row.loss:.2e}, validation {row.val_loss:.2e}, "
        f"error {row.error_pct:.2f} % of the width, validation {row.val_error_pct:.2f} %, "
        f"{row.images_per_s:.0f} images/s, at most {left} left"
    )


def _csv(rows: list[Any]) -> str:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(rows[0]._fields)
    writer.writerows(rows)
    return table.getvalue()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.run(cli.single_command(train_detector, "train_detector"))
