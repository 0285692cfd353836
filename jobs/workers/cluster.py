"""The Ray cluster that a job runs on: an existing cluster, or a local Ray that the job starts."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from featurelib.runtime.console import output_options
from featurelib.runtime.progress import Progress
from featurelib.runtime.ray_start import starting_ray

Item = TypeVar("Item")

WORKER_ENV = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "KERAS_BACKEND": "tensorflow",
}
"""Environment of this process, inherited by the workers of a local Ray. A runtime_env would reach any cluster, but then
Ray cannot use the worker processes it has started in advance, so each worker starts twice."""

STORE_SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Location of the object store; none of them is secret."""

STEP_PAUSE_S = 0.02
"""Pause of Ray Data's scheduling loop after each step. Without it, the loop takes half a core per training stream while
the consumer is slower than the stream (measured on two cores). 50 steps per second start tasks fast enough."""

WAITING_PER_CPU = 4
"""Tasks in Ray's queue per CPU: more than can run, so that an autoscaling cluster sees the demand."""

ACCELERATOR_LABEL = "ray.io/accelerator-type"
"""Label that Ray sets on nodes with accelerators."""

IDLE_WORKERS_PER_CPU = 3
"""Idle processes that a local Ray keeps for later tasks, per CPU. Ray's default is one, actors included; it ended
processes with TensorFlow or numba between two steps of a pipeline, and started others."""


class PauseBetweenSteps:
    """An ExecutionCallback of Ray Data that pauses its scheduling loop after each step."""

    def before_execution_starts(self, executor: object) -> None:
        """Do nothing."""

    def on_execution_step(self, executor: object) -> None:
        """Pause."""
        time.sleep(STEP_PAUSE_S)

    def after_execution_succeeds(self, executor: object) -> None:
        """Do nothing."""

    def after_execution_fails(self, executor: object, error: Exception) -> None:
        """Do nothing."""


def connect() -> None:
    """Join the cluster at RAY_ADDRESS, or start a local Ray; do nothing if connected already.

    Raises:
        MachineError: if this fails; no process of a failed start is left.
    """
    os.environ.update(WORKER_ENV)
    os.environ.setdefault("RAY_num_workers_soft_limit", str(IDLE_WORKERS_PER_CPU * (os.cpu_count() or 1)))
    if not ray.is_initialized():
        verbose = output_options().verbose
        level = logging.INFO if verbose else logging.ERROR
        handler = signal.getsignal(signal.SIGTERM)
        address = os.environ.get("RAY_ADDRESS", "local")  # the default joins the last local Ray, dead or alive
        with starting_ray(address):
            ray.init(
                address,
                include_dashboard=False,
                log_to_driver=verbose,
                logging_level=level,
                runtime_env=store_settings(),
            )
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's handler prints stack traces


def store_settings() -> dict[str, dict[str, str]] | None:
    """Return a runtime_env that passes the location of the object store to workers; None if they have it already.

    A local Ray inherits this process's environment, and a submitted job has its own runtime_env. Credentials never go
    into a runtime_env, because anyone with dashboard access can read it; each node has its own.
    """
    known = {name: os.environ[name] for name in STORE_SETTINGS if name in os.environ}
    is_joining = "RAY_ADDRESS" in os.environ and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ
    return {"env_vars": known} if known and is_joining else None


def connect_for_data() -> None:
    """Connect, and configure Ray Data in this process."""
    connect()
    from ray.data import DataContext  # takes 2.4 s, which render does not need

    context = DataContext.get_current()
    context.enable_progress_bars = False  # ours count objects and views, not blocks
    context.print_on_execution_start = False
    context.custom_execution_callback_classes = [PauseBetweenSteps]
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def warm_up_data() -> None:
    """Start Ray Data while something else is computed; its import and its two actors take 12 s of CPU."""

    def start() -> None:
        with suppress(Exception):  # the next to use Ray Data meets the error, or the command has ended
            connect_for_data()
            ray.data.range(1, override_num_blocks=1).materialize()

    threading.Thread(target=start, name="warm-up", daemon=True).start()


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Return the placement of what has to live as long as this process: on its node, which others may leave."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def off_gpu_nodes() -> dict[str, str] | None:
    """Return a label selector that keeps tasks off nodes with GPUs; None unless the cluster has both kinds."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    kinds = {node["Labels"].get(ACCELERATOR_LABEL) for node in nodes if node["Resources"].get("GPU")} - {None}
    if not kinds or all(node["Resources"].get("GPU") for node in nodes):
        return None
    return {ACCELERATOR_LABEL: f"!in({','.join(sorted(kinds))})"}


def num_cpus() -> int:
    """Return the number of CPUs of the whole cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def training_cpus() -> int:
    """Return the CPUs that a training reserves: its node's but one, since a server may hold a share of one."""
    return max(1, largest_node_cpus() - 1)


def largest_node_cpus() -> int:
    """Return the number of CPUs of the cluster's largest node."""
    return max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])


def run_all(
    submit: Callable[[Item], ray.ObjectRef], items: Iterable[Item], max_waiting: int | None = None
) -> Iterator[tuple[Item, Any]]:
    """Yield each item with the result of its task, in order of completion; Ray retries tasks of lost workers and nodes.

    Args:
        submit: starts the task of an item.
        items: consumed as tasks are submitted.
        max_waiting: maximum number of submitted tasks; default: WAITING_PER_CPU for each current CPU of the cluster.
    """
    remaining, waiting = iter(items), dict[ray.ObjectRef, Item]()
    while True:
        free = (max_waiting or WAITING_PER_CPU * num_cpus()) - len(waiting)
        waiting.update((submit(item), item) for item in islice(remaining, max(0, free)))
        if not waiting:
            return
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(ready), ray.get(ready)


def run_in_order(
    submit: Callable[[Item], ray.ObjectRef], items: Sequence[Item], count: Callable[[Item], int], progress: Progress
) -> list[Any]:
    """Return the results of a task per item, in the order of the items.

    Args:
        submit: starts an item's task.
        items: the inputs.
        count: an item's amount of work, for the progress.
        progress: receives the finished work.
    """
    results: list[Any] = [None] * len(items)
    for i, result in run_all(lambda i: submit(items[i]), range(len(items))):
        results[i] = result
        progress.add(count(items[i]))
    progress.end()
    return results
