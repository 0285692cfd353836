"""The training of a detector on the cluster: one task that trains alone, or Ray Train with a group of workers.

After the loss of a worker, a node or a connection Ray starts the task again, or Ray Train its workers. The first worker
writes a checkpoint after each epoch, and the restarted training resumes from it.
"""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray
import ray.train
from ray.train import DataConfig, FailureConfig, RunConfig, ScalingConfig
from ray.util.queue import Queue

from featurelib.errors import FeaturelibError
from featurelib.models.detector import files
from featurelib.models.detector.checkpoint import Checkpoint, Epoch
from featurelib.models.detector.recipe import Recipe
from featurelib.runtime import storage
from featurelib.runtime.progress import duration
from featurelib.runtime.threads import limit_threads
from jobs.workers import cluster
from jobs.workers.detector_stream import StreamPlan, alone_passes, in_order, passes_of, sample_stream

if TYPE_CHECKING:
    import keras

Pass = Callable[[int], Iterator[Any]]
"""Opens a worker's batches of an epoch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectorTask:
    """What each worker is given.

    name: starts each line of progress. uri: the detector's folder. resolved: content of config.json.
    recipe: how to train. plan: the samples of all epochs. head, alpha, weights, precision: flags of train-detector.
    workers: processes that share each step. gpu: one GPU for each. max_restarts: of the training, after losses.
    threads: of TensorFlow, in each worker. queue: takes lines of progress, and the exception that ends the command.
    """

    name: str
    uri: str
    resolved: dict[str, Any]
    recipe: Recipe
    plan: StreamPlan
    head: str
    alpha: float
    weights: str
    precision: str
    workers: int
    gpu: bool
    max_restarts: int
    threads: int
    queue: Queue

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint of the last epoch that ended; None before the first."""
        return files.read_checkpoint(self.uri, self.resolved)

    def stream(self) -> ray.data.Dataset:
        """Return the samples of the epochs to come; Ray Train calls it at each start of the workers."""
        checkpoint = self.checkpoint()
        first_epoch = checkpoint.next_epoch if checkpoint else 0
        return sample_stream(replace(self.plan, first_epoch=first_epoch), self.workers)

    def build(self, weights: str) -> "keras.Model":
        """Return the untrained network."""
        from featurelib.models.detector.network import build_detector

        return build_detector(head=self.head, alpha=self.alpha, input_size=self.plan.input_size, weights=weights)

    def report(self, line: str) -> None:
        """Send a line of progress to the user's terminal."""
        self.queue.put(f"{self.name}: {line}")


@ray.remote(retry_exceptions=[OSError])
def fit_alone(task: DetectorTask) -> None:
    """Train in one process that decodes its samples in a thread.

    Decoding is 25 times as fast as a step on a CPU. The six actors of Ray Train take 45 s of CPU to start.
    """
    passes = alone_passes(task.plan)
    _fit_worker(task, rank=0, open_passes=lambda: passes)


@ray.remote(num_cpus=0, max_retries=0)
def fit_on_cluster(task: DetectorTask, cpus: float) -> None:
    """Run Ray Train to its end; a separate task, since TensorflowTrainer imports TensorFlow and prints its logs."""
    from ray.train.tensorflow import TensorflowTrainer

    cluster.connect_for_data()
    filesystem, path = storage.arrow_filesystem(task.uri)
    TensorflowTrainer(
        _run_worker,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(
            num_workers=task.workers,
            use_gpu=task.gpu,
            resources_per_worker={"CPU": cpus, "GPU": int(task.gpu)},
        ),
        run_config=RunConfig(
            name="train",
            storage_path=path,
            storage_filesystem=filesystem,
            failure_config=FailureConfig(max_failures=task.max_restarts),
            callbacks=[ReportLosses(task)],
        ),
        datasets={"samples": task.stream},
        dataset_config=DataConfig(execution_options=in_order(), enable_shard_locality=False),
    ).fit()


class ReportLosses(ray.train.UserCallback):
    """Tells the user why Ray Train restarts the workers."""

    def __init__(self, task: DetectorTask) -> None:
        self.task = task

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Report which worker failed, and its error."""
        for rank, error in worker_exceptions.items():
            self.task.report(f"worker {rank} failed: {str(error).strip().splitlines()[0][:200]}")


def _run_worker(settings: dict[str, Any]) -> None:
    """Train in one worker's process.

    A loss is raised, so that Ray Train restarts the workers. Any other error goes to the driver, which ends.
    """
    task: DetectorTask = settings["task"]
    try:
        rank = ray.train.get_context().get_world_rank()
        ray.train.report(_fit_worker(task, rank, lambda: _shared_passes(task))._asdict())
    except Exception as error:
        mistake = next((cause for cause in _causes(error) if isinstance(cause, FeaturelibError)), None)
        if mistake is None and _is_loss(error):
            raise
        task.queue.put(mistake or RuntimeError("".join(traceback.format_exception(error))))


def _is_loss(error: Exception) -> bool:
    """Return whether a worker, a node or a connection was lost; TensorFlow's error is of a step without its partner."""
    import tensorflow as tf

    return isinstance(error, (tf.errors.OpError, ray.exceptions.RayError, OSError))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, through Ray's wrappers."""
    if error is not None:
        yield error
        yield from _causes(getattr(error, "cause", None) or error.__cause__)


def _fit_worker(task: DetectorTask, rank: int, open_passes: Callable[[], tuple[Pass, Pass]]) -> Epoch:
    """Train on this worker's share of each step and return the best epoch; the first worker writes the files.

    Args:
        task: what to train.
        rank: of this worker.
        open_passes: returns two functions that open this worker's share of an epoch, for training and for validation.
    """
    limit_threads(task.threads)
    import keras
    import tensorflow as tf

    from featurelib.models.detector.heads import HEADS
    from featurelib.models.detector.metrics_log import tensorboard_events
    from featurelib.models.detector.network import synchronise_statistics
    from featurelib.models.detector.training import fit, is_over

    keras.utils.set_random_seed(task.plan.seed)
    keras.config.set_dtype_policy(dtype_policy(task.precision))
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if task.workers > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        model = task.build(task.weights)
    if task.workers > 1:
        synchronise_statistics(model)
    recipe = replace(task.recipe, compiled=bool(tf.config.list_physical_devices("GPU")))
    checkpoint, is_first = task.checkpoint(), rank == 0
    if is_first and checkpoint and not is_over(recipe, checkpoint):
        task.report(f"resumes after epoch {checkpoint.next_epoch}")

    def on_epoch(checkpoint: Checkpoint) -> None:
        if is_first:
            files.write_checkpoint(task.uri, checkpoint, task.resolved, tensorboard_events(checkpoint.rows))
            task.report(_epoch_line(recipe, checkpoint.rows[-1]))

    best = fit(model, HEADS[task.head], recipe, *open_passes(), on_epoch, strategy, checkpoint)
    if is_first:
        _save(task, model, best)
    return best


def dtype_policy(precision: str) -> str:
    """Return Keras's dtype policy for a precision.

    Args:
        precision: float32, bfloat16 or auto. `auto` is bfloat16 if all GPUs have compute capability 8.0 (Ampere) or
            later, since those multiply bfloat16.
    """
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    has_bfloat16 = bool(details) and all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    is_mixed = has_bfloat16 if precision == "auto" else precision == "bfloat16"
    return "mixed_bfloat16" if is_mixed else "float32"


def _shared_passes(task: DetectorTask) -> tuple[Pass, Pass]:
    """Return two functions that open this worker's share of the stream, for training and for validation, in turn."""
    passes = passes_of(ray.train.get_dataset_shard("samples"), task.plan.batch_size // task.workers)

    def open_pass(split: str, epoch: int) -> Iterator[Any]:
        key, batches = next(passes)
        if key != (epoch, split):
            raise RuntimeError(f"the stream is at {key}; expected {(epoch, split)}")
        return batches

    return lambda epoch: open_pass("train", epoch), lambda epoch: open_pass("val", epoch)


def _save(task: DetectorTask, model: "keras.Model", best: Epoch) -> None:
    """Write the trained detector in float32, so that it runs on any machine, and delete the checkpoint."""
    import keras

    from featurelib.models.detector.files import write_detector
    from featurelib.models.export import export_network

    keras.config.set_dtype_policy("float32")
    trained = task.build("none")
    trained.set_weights(model.get_weights())
    write_detector(export_network(trained), task.uri, task.resolved)
    files.delete_checkpoint(task.uri)
    task.report(f"best epoch {best.epoch + 1}, {best.val_error_pct:.2f} % of the width on validation views")


def _epoch_line(recipe: Recipe, row: Epoch) -> str:
    left = duration((recipe.epochs - row.epoch - 1) * row.seconds)
    return (
        f"epoch {row.epoch + 1}/{recipe.epochs} ({row.phase}), "
        f"loss {row.loss:.2e}, validation {row.val_loss:.2e}, "
        f"error {row.error_pct:.2f} % of the width, validation {row.val_error_pct:.2f} %, "
        f"{row.images_per_s:.0f} images/s, {row.wait_pct:.0f} % waiting for data, at most {left} left"
    )
