"""The Ray cluster that a job runs on: the one it was submitted to, or one of its own on this machine."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import ray

from featurelib.runtime.console import output_options

Item = TypeVar("Item")

WORKER_ENV = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "KERAS_BACKEND": "tensorflow",
}
"""Of this process and of the workers that a local Ray starts from it. A runtime_env would do it on any cluster, but
costs every worker a second start: the ones that Ray keeps ready have another environment."""

STORE_SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Where the object store is; none of them is a secret."""

STEP_PAUSE_S = 0.02
"""Ray Data's scheduling loop does not wait while a consumer is slower than its stream: it took 0.5 of a core for
each stream of a training, on two cores. Fifty steps a second start tasks as fast as a shard a task needs."""

WAITING_PER_CPU = 4
"""Tasks in Ray's queue for each CPU of the cluster: more than can run, so that a cluster that grows sees them."""


class PauseBetweenSteps:
    """A callback of Ray Data (ExecutionCallback) that lets its scheduling loop rest after each step."""

    def before_execution_starts(self, executor: object) -> None:
        """Do nothing."""

    def on_execution_step(self, executor: object) -> None:
        """Rest."""
        time.sleep(STEP_PAUSE_S)

    def after_execution_succeeds(self, executor: object) -> None:
        """Do nothing."""

    def after_execution_fails(self, executor: object, error: Exception) -> None:
        """Do nothing."""


def connect() -> None:
    """Join the cluster named by RAY_ADDRESS, else start one on this machine; nothing if already connected."""
    os.environ.update(WORKER_ENV)
    if not ray.is_initialized():
        verbose = output_options().verbose
        level = logging.INFO if verbose else logging.ERROR
        handler = signal.getsignal(signal.SIGTERM)
        ray.init(
            os.environ.get("RAY_ADDRESS", "local"),  # by itself Ray joins what was last started here, dead or alive
            include_dashboard=False,
            log_to_driver=verbose,
            logging_level=level,
            runtime_env=store_settings(),
        )
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own prints stack traces in two languages


def store_settings() -> dict[str, dict[str, str]] | None:
    """Return the runtime_env that tells workers where the object store is; None if they know as well as this process.

    A Ray that starts here inherits this process's environment, and a submitted job has a runtime_env of its own.
    Credentials are each node's own business: a runtime_env can be read by everybody who sees the dashboard.
    """
    known = {name: os.environ[name] for name in STORE_SETTINGS if name in os.environ}
    is_joining = "RAY_ADDRESS" in os.environ and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ
    return {"env_vars": known} if known and is_joining else None


def connect_for_data() -> None:
    """Connect, and settle how Ray Data behaves in what this process runs with it."""
    connect()
    from ray.data import DataContext  # 2.4 s, which a rendering does not need

    context = DataContext.get_current()
    context.enable_progress_bars = False  # our own lines say objects and views, not blocks
    context.print_on_execution_start = False
    context.custom_execution_callback_classes = [PauseBetweenSteps]
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def num_cpus() -> int:
    """Return the number of CPUs of the whole cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def run_all(
    submit: Callable[[Item], ray.ObjectRef], items: Iterable[Item], max_waiting: int | None = None
) -> Iterator[tuple[Item, Any]]:
    """Yield each item and the result of its task as they come; Ray runs a task again if its worker or node dies.

    Args:
        submit: starts an item's task.
        items: taken as there is room.
        max_waiting: tasks under way at most; default: WAITING_PER_CPU for each CPU that the cluster has by then.
    """
    coming, waiting = iter(items), dict[ray.ObjectRef, Item]()
    while True:
        room = (max_waiting or WAITING_PER_CPU * num_cpus()) - len(waiting)
        waiting.update((submit(item), item) for item in islice(coming, max(0, room)))
        if not waiting:
            return
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(ready), ray.get(ready)
