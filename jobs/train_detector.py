"""RUN/renders -> RUN/detector: the network that finds the near landmark in one image, on Ray Train.

1. Open the manifest; an unfinished rendering, a split without both sides or one that leaks is refused.
2. Stream samples from the shards: CPU tasks mirror, shuffle and decode, each worker takes its share of every step.
3. Train in two phases on every worker. After each epoch the first worker writes checkpoint.npz, metrics.csv and
   the TensorBoard log; whatever dies, the training goes on from there, in this run of the command or the next.
4. The first worker writes model.keras with the best weights and, last, config.json.
"""

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import ray
import ray.train
from ray.train import DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.util.queue import Queue

from featurelib.datasets.shards import Manifest, open_renders
from featurelib.errors import DataError, FeaturelibError, UsageError
from featurelib.geometry import Projection
from featurelib.models.detector import files
from featurelib.models.detector.checkpoint import Checkpoint, Epoch
from featurelib.models.detector.recipe import RECIPES, Recipe
from featurelib.runtime import cli, completion, storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import duration
from jobs.workers import cluster
from jobs.workers.leakage import audit_renders
from jobs.workers.streams import StreamPlan, in_order, passes_of, sample_stream

logger = logging.getLogger(__name__)


@cli.config
@dataclass(frozen=True, kw_only=True)
class DetectorTraining:
    """How to train a detector.

    Attributes:
        head: What the network says: heatmap (a map for each instance), or regression (the near one's position).
        weights: Of the backbone: imagenet (Keras downloads them), none, or the path of an .h5 or .npz without top.
        alpha: Width of MobileNetV2: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        input_size: Width and height of the network's image, in pixels; a multiple of 32.
        workers: Processes that share each step.
        cpus_per_worker: CPU threads of each worker's step; default: what is left beside one for decoding.
        gpu: One GPU for each worker.
        precision: Of the step: float32, bfloat16 (mixed), or auto, which is bfloat16 on GPUs that have it.
        max_restarts: Times that a lost worker or node may send the training back to its last checkpoint.
        epochs: Of both phases together, at most; default: the head's, 8 (up to 40 where there are few objects) or 60.
        frozen_epochs: Of a first phase in which only the head trains; default: the head's, 0 or 15.
        batch_size: Samples a step, over all workers: another number of workers trains alike.
        head_learning_rate: Learning rate of the first phase (Adam), for the whole batch; default: the head's.
        finetune_learning_rate: Learning rate of the second phase, likewise; default: the head's, 2e-3 or 1e-4.
        patience: Epochs without a better validation error after which training stops.
        mirror: Train on each image and its mirror image; without, on each image twice.
        occluded: Train on views in which the near landmark is occluded, too.
        shuffle_buffer: Samples mixed in memory, beside the random order of the shards.
        seed: Of the weights, the dropout and the order of the samples.
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
    """What to train, and how.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Which images to train on.
    """

    run: str
    projection: Projection = "orthographic"


MACHINE_FLAGS = ("run", "workers", "cpus_per_worker", "gpu", "max_restarts")
"""Flags that say where to train, not what: another value is no reason to train again."""


def train_detector(config: TrainDetectorConfig) -> None:
    """Train the network that finds the landmark in one image.

    Example: featurelib train-detector --run runs/heads --projection orthographic --alpha 0.35
    """
    uri = files.detector_uri(config.run, config.projection)
    manifest = open_renders(config.run, config.projection)
    if config.weights not in ("imagenet", "none"):
        config = replace(config, weights=storage.absolute(config.weights))
    _check(config, manifest)
    recipe = _recipe(config, manifest)
    resolved = _resolved(config, recipe, manifest)
    config_uri = storage.join(uri, "config.json")
    if not completion.is_complete(config_uri, resolved):
        audit_renders(manifest)
        completion.invalidate(config_uri)
        _train(config, recipe, manifest, uri, resolved)
        print_result(f"{uri}: trained", {"detector": uri})
    else:
        print_result(f"{uri}: trained already; nothing to do", {"detector": uri, "done_before": True})


def _check(config: TrainDetectorConfig, manifest: Manifest) -> None:
    for split in ("train", "val"):
        if not manifest.views.get(split):
            raise DataError(
                f"{manifest.uri}: no views in the {split} split ({manifest.objects}); label more objects or set `split`"
            )
    if 2 * manifest.views["train"] < config.batch_size:
        raise UsageError(
            f"--batch-size {config.batch_size}: there are {2 * manifest.views['train']} training samples in all"
        )
    if config.workers < 1:
        raise UsageError(f"--workers {config.workers}: expected at least 1")
    if config.batch_size % config.workers:
        raise UsageError(f"--batch-size {config.batch_size}: expected a multiple of --workers {config.workers}")


def _recipe(config: TrainDetectorConfig, manifest: Manifest) -> Recipe:
    """Return the head's recipe with what the user wants otherwise."""
    recipe = RECIPES[config.head]
    names = ("epochs", "frozen_epochs", "batch_size", "head_learning_rate", "finetune_learning_rate", "patience")
    wanted = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    recipe = replace(recipe, **wanted, pretrained=config.weights != "none")
    if config.epochs is not None:
        recipe = replace(recipe, least_steps=0)
    return recipe.for_samples(2 * manifest.views["train"])


def _resolved(config: TrainDetectorConfig, recipe: Recipe, manifest: Manifest) -> dict[str, Any]:
    what = {name: value for name, value in asdict(config).items() if name not in MACHINE_FLAGS}
    return {**what, **asdict(recipe), "renders": manifest.content_hash}


@dataclass(frozen=True)
class WorkerContext:
    """What every worker is told. lines: takes progress for the user's terminal, and what the user did wrong."""

    config: TrainDetectorConfig
    recipe: Recipe
    manifest: Manifest
    uri: str
    resolved: dict[str, Any]
    threads: int
    lines: Queue

    def checkpoint(self) -> Checkpoint | None:
        """Return where the training stands."""
        return files.read_checkpoint(self.uri, self.resolved)

    def stream(self) -> ray.data.Dataset:
        """Return the samples of the epochs to come; asked anew whenever the workers are started."""
        checkpoint = self.checkpoint()
        return sample_stream(self.plan(checkpoint.next_epoch if checkpoint else 0), self.config.workers)

    def plan(self, first_epoch: int) -> StreamPlan:
        """Return the plan of the stream from an epoch on."""
        return StreamPlan(
            self.manifest,
            input_size=self.config.input_size,
            batch_size=self.config.batch_size,
            epochs=self.recipe.epochs,
            first_epoch=first_epoch,
            shuffle_buffer=self.config.shuffle_buffer,
            seed=self.config.seed,
            mirror=self.config.mirror,
            occluded=self.config.occluded,
        )


def _train(config: TrainDetectorConfig, recipe: Recipe, manifest: Manifest, uri: str, resolved: dict[str, Any]) -> None:
    """Run Ray Train and repeat the epochs' lines here, since only this process has the user's terminal."""
    cluster.connect_for_data()
    lines = Queue(actor_options={"num_cpus": 0})
    share = max(1, cluster.num_cpus() - 1) / config.workers
    threads = config.cpus_per_worker or max(1, int(share))
    training = fit_on_cluster.remote(
        WorkerContext(config, recipe, manifest, uri, resolved, threads, lines), min(share, threads)
    )
    try:
        while not ray.wait([training], timeout=1)[0] or not lines.empty():
            _repeat(lines)
        ray.get(training)
    except BaseException:
        ray.cancel(training, force=True)  # a worker that ended early leaves the others waiting for it
        raise
    finally:
        lines.shutdown()


def _repeat(lines: Queue) -> None:
    for line in lines.get_nowait_batch(lines.qsize()):
        if isinstance(line, Exception):
            raise line
        logger.info(line)


@ray.remote(num_cpus=0, max_retries=0)
def fit_on_cluster(loop: WorkerContext, cpus: float) -> None:
    """Run Ray Train to its end. A task of its own, since TensorflowTrainer brings TensorFlow and its chatter along."""
    from ray.train.tensorflow import TensorflowTrainer

    cluster.connect_for_data()
    filesystem, path = storage.arrow_filesystem(loop.uri)
    TensorflowTrainer(
        _train_worker,
        train_loop_config={"loop": loop},
        scaling_config=ScalingConfig(
            num_workers=loop.config.workers,
            use_gpu=loop.config.gpu,
            resources_per_worker={"CPU": cpus, "GPU": int(loop.config.gpu)},
        ),
        run_config=RunConfig(
            name="train",
            storage_path=path,
            storage_filesystem=filesystem,
            failure_config=FailureConfig(max_failures=loop.config.max_restarts),
            callbacks=[ReportLosses(loop)],
        ),
        datasets={"samples": loop.stream},
        dataset_config=DataConfig(execution_options=in_order(), enable_shard_locality=False),
    ).fit()


def _train_worker(settings: dict[str, Any]) -> None:
    """One worker's process. Only a loss (of a worker, a node, a connection) is a reason to start again."""
    loop: WorkerContext = settings["loop"]
    try:
        _fit_worker(loop)
    except Exception as error:
        mistake = next((cause for cause in _causes(error) if isinstance(cause, FeaturelibError)), None)
        if mistake is None and _is_loss(error):
            raise
        loop.lines.put(mistake or RuntimeError("".join(traceback.format_exception(error))))


def _is_loss(error: Exception) -> bool:
    """Whether an error says that something else is gone; a step whose partner is gone fails in TensorFlow."""
    import tensorflow as tf

    return isinstance(error, (tf.errors.OpError, ray.exceptions.RayError, OSError))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all behind it, through Ray's wrappers."""
    if error is not None:
        yield error
        yield from _causes(getattr(error, "cause", None) or error.__cause__)


class ReportLosses(ray.train.UserCallback):
    """Tells the user why the training starts again."""

    def __init__(self, loop: WorkerContext) -> None:
        self.loop = loop

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Say which worker failed, and how."""
        for rank, error in worker_exceptions.items():
            reason = str(error).strip().splitlines()[0][:200]
            self.loop.lines.put(f"train-detector {self.loop.config.projection}: worker {rank} failed: {reason}")


def _fit_worker(loop: WorkerContext) -> None:
    """Train. TensorFlow is imported here, after its environment is set."""
    config = loop.config
    import keras
    import tensorflow as tf

    from featurelib.models.detector.heads import HEADS
    from featurelib.models.detector.metrics_log import tensorboard_events
    from featurelib.models.detector.model import save_detector
    from featurelib.models.detector.network import build_detector, synchronise_statistics
    from featurelib.models.detector.training import fit, is_over

    has_gpu = _set_up_tensorflow(tf, loop.threads)
    precision = _auto_precision(tf) if config.precision == "auto" else config.precision
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if config.workers > 1 else tf.distribute.get_strategy()
    network: dict[str, Any] = {"head": config.head, "alpha": config.alpha, "input_size": config.input_size}
    with strategy.scope():
        model = build_detector(**network, weights=config.weights)
    if config.workers > 1:
        synchronise_statistics(model)
    recipe = replace(loop.recipe, compiled=has_gpu)
    checkpoint = loop.checkpoint()
    is_first = ray.train.get_context().get_world_rank() == 0
    if is_first and checkpoint and not is_over(recipe, checkpoint):
        loop.lines.put(f"train-detector {config.projection}: goes on after epoch {checkpoint.next_epoch}")

    def on_epoch(checkpoint: Checkpoint) -> None:
        if is_first:
            files.write_checkpoint(loop.uri, checkpoint, loop.resolved, tensorboard_events(checkpoint.rows))
            loop.lines.put(_line(config.projection, recipe, checkpoint.rows[-1]))

    best = fit(model, HEADS[config.head], recipe, *_open_passes(config), on_epoch, strategy, checkpoint)
    if is_first:
        keras.config.set_dtype_policy("float32")  # a detector runs anywhere, whatever trained it
        trained = build_detector(**network, weights="none")
        trained.set_weights(model.get_weights())
        save_detector(trained, loop.uri, loop.resolved)
        files.delete_checkpoint(loop.uri)
        loop.lines.put(
            f"train-detector {config.projection}: best epoch {best.epoch + 1}, "
            f"{best.val_error_pct:.2f} % of the width on validation views"
        )
    ray.train.report(best._asdict())


def _set_up_tensorflow(tf: Any, threads: int) -> bool:
    """Bound what TensorFlow takes of the machine, and return whether there is a GPU."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return bool(gpus)


def _auto_precision(tf: Any) -> str:
    """Return what `auto` means here: NVIDIA cards multiply bfloat16 since compute capability 8.0 (Ampere)."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return "bfloat16" if details and all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details) else "float32"


def _open_passes(config: TrainDetectorConfig) -> tuple[Callable[[int], Iterator[Any]], Callable[[int], Iterator[Any]]]:
    """Return two functions that open this worker's share of an epoch, of training and of validation, in turn."""
    passes = passes_of(ray.train.get_dataset_shard("samples"), config.batch_size // config.workers)

    def open_pass(split: str, epoch: int) -> Iterator[Any]:
        key, batches = next(passes)
        if key != (epoch, split):
            raise RuntimeError(f"the stream is at {key}; expected {(epoch, split)}")
        return batches

    return lambda epoch: open_pass("train", epoch), lambda epoch: open_pass("val", epoch)


def _line(projection: str, recipe: Recipe, row: Epoch) -> str:
    left = duration((recipe.epochs - row.epoch - 1) * row.seconds)
    return (
        f"train-detector {projection}: epoch {row.epoch + 1}/{recipe.epochs} ({row.phase}), "
        f"loss {row.loss:.2e}, validation {row.val_loss:.2e}, "
        f"error {row.error_pct:.2f} % of the width, validation {row.val_error_pct:.2f} %, "
        f"{row.images_per_s:.0f} images/s, {row.wait_pct:.0f} % waiting for data, at most {left} left"
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.run(cli.single_command(train_detector, "train_detector"))
