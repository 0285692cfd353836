"""The training of a detector by a group of workers: a task that runs Ray Train, and what each worker does.

After the loss of a worker, a node or a connection Ray Train restarts the workers, which resume from the checkpoint. It
tells them when a node is about to be preempted, counts such losses apart and, by default, without a limit.
"""

import traceback
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import ray
import ray.train
from ray.train import DataConfig, FailureConfig, RunConfig, ScalingConfig

from featurelib.errors import FeaturelibError
from featurelib.runtime import storage
from jobs.workers import cluster
from jobs.workers.detector_stream import in_order, passes_of, sample_stream
from jobs.workers.detector_training import DetectorTask, Pass, fit_worker


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
        datasets={"samples": partial(stream, task)},
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
        ray.train.report(fit_worker(task, rank, lambda: _shared_passes(task), _is_preempted)._asdict())
    except Exception as error:
        mistake = next((cause for cause in _causes(error) if isinstance(cause, FeaturelibError)), None)
        if mistake is None and _is_loss(error):
            raise
        task.queue.put(mistake or RuntimeError("".join(traceback.format_exception(error))))


def _is_preempted() -> bool:
    return ray.train.get_preemption_info() is not None


def _is_loss(error: Exception) -> bool:
    """Return whether a worker, a node or a connection was lost; TensorFlow's error is of a step without its partner."""
    import tensorflow as tf

    return isinstance(error, (tf.errors.OpError, ray.exceptions.RayError, OSError))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, through Ray's wrappers."""
    if error is not None:
        yield error
        yield from _causes(getattr(error, "cause", None) or error.__cause__)


def stream(task: DetectorTask) -> ray.data.Dataset:
    """Return the samples of the epochs to come; Ray Train calls it at each start of the workers."""
    checkpoint = task.checkpoint()
    first_epoch = checkpoint.next_epoch if checkpoint else 0
    return sample_stream(replace(task.plan, first_epoch=first_epoch), task.workers)


def _shared_passes(task: DetectorTask) -> tuple[Pass, Pass]:
    """Return two functions that open this worker's share of the stream, for training and for validation, in turn."""
    passes = passes_of(ray.train.get_dataset_shard("samples"), task.plan.batch_size // task.workers)

    def open_pass(split: str, epoch: int) -> Iterator[Any]:
        key, batches = next(passes)
        if key != (epoch, split):
            raise RuntimeError(f"the stream is at {key}; expected {(epoch, split)}")
        return batches

    return lambda epoch: open_pass("train", epoch), lambda epoch: open_pass("val", epoch)
