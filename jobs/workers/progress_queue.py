"""Progress from tasks on the cluster to the user's terminal, which only the driver has."""

import logging
from typing import Any

import ray
from ray.util.queue import Queue

from jobs.workers import cluster

logger = logging.getLogger(__name__)


def open_queue() -> Queue:
    """Return a queue on this node for lines of progress, and exceptions that end the command; it occupies no CPU."""
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": cluster.on_this_node()})


def follow(task: ray.ObjectRef, queue: Queue) -> Any:
    """Return a task's result; meanwhile log the lines that it puts into the queue.

    The task is cancelled if the command ends first. The queue is closed either way.

    Raises:
        Exception: the task's own, or one from the queue.
    """
    try:
        while not ray.wait([task], timeout=1)[0] or not queue.empty():
            for line in queue.get_nowait_batch(queue.qsize()):
                if isinstance(line, Exception):
                    raise line
                logger.info(line)
        return ray.get(task)
    except BaseException:
        ray.cancel(task, force=True)  # a worker that ended early leaves the others waiting for it
        raise
    finally:
        queue.shutdown()
