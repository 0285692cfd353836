"""Work on meshes in tasks of a few objects, each object in a sandboxed process of a worker."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

import ray

from featurelib.runtime.progress import Progress
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits, shared_sandbox
from jobs.workers import cluster

Item = TypeVar("Item")
Result = TypeVar("Result")

OBJECTS_PER_TASK = 16
"""Number of objects per task: two seconds of one core."""


def map_sandboxed(
    limits: SandboxLimits, task: str, work: Callable[[Item], Result], items: Sequence[Item]
) -> list[tuple[Item, Result | ProcessLostError]]:
    """Run some work on each item on the cluster, in sandboxed processes; return the items with their results."""
    parts = [items[i : i + OBJECTS_PER_TASK] for i in range(0, len(items), OBJECTS_PER_TASK)]
    progress = Progress(task, len(items), "objects")
    results = cluster.run_in_order(lambda part: work_sandboxed.remote(limits, work, part), parts, len, progress)
    return list(zip(items, chain.from_iterable(results), strict=True))


@ray.remote(num_cpus=1)
def work_sandboxed(limits: SandboxLimits, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Any]:
    """Return the result of some work on each item, or the error of its lost process."""
    return list(shared_sandbox(limits, "featurelib.validation.dataset.warm").map(work, items))
