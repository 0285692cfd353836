"""Work on meshes, a few objects a task, each in a child process of a worker that may be lost."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

import ray

from featurelib.runtime.progress import Progress
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits, shared_sandbox
from jobs.workers.inference import gathered

Item = TypeVar("Item")
Result = TypeVar("Result")

OBJECTS_AT_ONCE = 16
"""Objects a task: two seconds of one core."""


def map_sandboxed(
    limits: SandboxLimits, task: str, work: Callable[[Item], Result], items: Sequence[Item]
) -> list[tuple[Item, Result | ProcessLostError]]:
    """Return the items with the results of some work on them, done on the cluster in processes that may be lost."""
    parts = [items[i : i + OBJECTS_AT_ONCE] for i in range(0, len(items), OBJECTS_AT_ONCE)]
    progress = Progress(task, len(items), "objects")
    answers = gathered(lambda part: work_sandboxed.remote(limits, work, part), parts, len, progress)
    return list(zip(items, chain.from_iterable(answers), strict=True))


@ray.remote(num_cpus=1)
def work_sandboxed(limits: SandboxLimits, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Any]:
    """Return the result of some work on each item, or how its process was lost."""
    return list(shared_sandbox(limits, "featurelib.validation.dataset.warm").map(work, items))
