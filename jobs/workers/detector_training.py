"""The training of a detector on the cluster: one task that trains alone, or Ray Train with a group of workers.

After the loss of a worker, a node or a connection Ray starts the task again, or Ray Train its workers. The first worker
writes a checkpoint after each epoch and when a preemption is announced, and the restarted training resumes from it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray
from ray.util.queue import Queue

from featurelib.models.detector import files
from featurelib.models.detector.checkpoint import Checkpoint, Epoch
from featurelib.models.detector.recipe import Recipe
from featurelib.runtime import storage
from featurelib.runtime.progress import duration
from featurelib.runtime.threads import limit_threads
from jobs.workers.detector_samples import StreamPlan, alone_passes

if TYPE_CHECKING:
    import keras

Pass = Callable[[int], Iterator[Any]]
"""Opens a worker's batches of an epoch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectorTask:
    """What each worker is given.

    name: starts each line of progress. uri: the detector's folder. resolved: content of config.json.
    recipe: how to train. plan: the samples of all epochs. head, alpha, weights, precision: flags of train-detector.
    start_uri: folder of a trained detector, whose network is trained further; None for a new one.
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
    start_uri: str | None
    precision: str
    workers: int
    gpu: bool
    max_restarts: int
    threads: int
    queue: Queue

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint of the last epoch that ended; None before the first."""
        return files.read_checkpoint(self.uri, self.resolved)

    def build(self, weights: str) -> "keras.Model":
        """Return the untrained network."""
        from featurelib.models.detector.network import build_detector

        return build_detector(
            self.plan.manifest.landmarks,
            head=self.head,
            alpha=self.alpha,
            input_size=self.plan.input_size,
            weights=weights,
        )

    def report(self, line: str) -> None:
        """Send a line of progress to the user's terminal."""
        self.queue.put(f"{self.name}: {line}")


@ray.remote(num_cpus=0)
def warm_up_training() -> None:
    """Import what trains, which takes 10 s of CPU, in a worker process that is likely to train."""
    from featurelib.models.detector import network, training  # noqa: F401
    from featurelib.models.export import export_network  # noqa: F401


@ray.remote(retry_exceptions=[OSError])
def fit_alone(task: DetectorTask) -> None:
    """Train in one process that decodes its samples in a thread.

    Decoding is 25 times as fast as a step on a CPU. The six actors of Ray Train take 45 s of CPU to start.
    """
    passes = alone_passes(task.plan)
    fit_worker(task, rank=0, open_passes=lambda: passes)


def fit_worker(
    task: DetectorTask,
    rank: int,
    open_passes: Callable[[], tuple[Pass, Pass]],
    is_preempted: Callable[[], bool] = lambda: False,
) -> Epoch:
    """Train on this worker's share of each step and return the best epoch; the first worker writes the files.

    Args:
        task: what to train.
        rank: of this worker.
        open_passes: returns two functions that open this worker's share of an epoch, for training and for validation.
        is_preempted: as of featurelib.models.detector.training.fit.
    """
    limit_threads(task.threads)
    import keras
    import tensorflow as tf

    from featurelib.models.detector.heads import HEADS
    from featurelib.models.detector.metrics_log import tensorboard_events
    from featurelib.models.detector.network import synchronise_statistics
    from featurelib.models.detector.training import fit, is_over
    from featurelib.models.keras_models import load_model

    keras.utils.set_random_seed(task.plan.seed)
    keras.config.set_dtype_policy(dtype_policy(task.precision))
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if task.workers > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        model = task.build("none" if task.start_uri else task.weights)
        if task.start_uri:
            trained = load_model(storage.read_bytes(storage.join(task.start_uri, "model.keras")))
            model.set_weights(trained.get_weights())
    if task.workers > 1:
        synchronise_statistics(model)
    recipe = replace(task.recipe, compiled=bool(tf.config.list_physical_devices("GPU")))
    checkpoint, is_first = task.checkpoint(), rank == 0
    if is_first and checkpoint and not is_over(recipe, checkpoint):
        task.report(f"resumes after {_position(checkpoint)}")

    def save(checkpoint: Checkpoint) -> None:
        if is_first:
            files.write_checkpoint(task.uri, checkpoint, task.resolved, tensorboard_events(checkpoint.rows))
            notice = f"a node will be preempted; saved after {_position(checkpoint)}"
            task.report(notice if checkpoint.steps else _epoch_line(recipe, checkpoint.rows[-1]))

    best = fit(model, HEADS[task.head], recipe, *open_passes(), save, strategy, checkpoint, is_preempted)
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


def _position(checkpoint: Checkpoint) -> str:
    steps = checkpoint.steps
    return f"{steps} steps of epoch {checkpoint.next_epoch + 1}" if steps else f"epoch {checkpoint.next_epoch}"


def _epoch_line(recipe: Recipe, row: Epoch) -> str:
    left = duration((recipe.epochs - row.epoch - 1) * row.seconds)
    return (
        f"epoch {row.epoch + 1}/{recipe.epochs} ({row.phase}), "
        f"loss {row.loss:.2e}, validation {row.val_loss:.2e}, "
        f"error {row.error_pct:.2f} % of the width, validation {row.val_error_pct:.2f} %, "
        f"{row.images_per_s:.0f} images/s, {row.wait_pct:.0f} % waiting for data, at most {left} left"
    )
