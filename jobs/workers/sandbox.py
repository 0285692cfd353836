"""Work on meshes, a few objects a task, each in a child process of a worker that may be lost."""

import functools
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

import ray

from featurelib.runtime.progress import Progress
from featurelib.runtime.sandbox import Child, ChildLimits, LostError
from jobs.workers.inference import gathered

Item = TypeVar("Item")
Result = TypeVar("Result")

OBJECTS_AT_ONCE = 16
"""Objects a task: two seconds of one core."""


def in_children(
    limits: ChildLimits, task: str, work: Callable[[Item], Result], items: Sequence[Item]
) -> list[tuple[Item, Result | LostError]]:
    """Return the items with the results of some work on them, done on the cluster in processes that may be lost."""
    parts = [items[i : i + OBJECTS_AT_ONCE] for i in range(0, len(items), OBJECTS_AT_ONCE)]
    progress = Progress(task, len(items), "objects")
    answers = gathered(lambda part: work_in_child.remote(limits, work, part), parts, len, progress)
    return list(zip(items, chain.from_iterable(answers), strict=True))


@ray.remote(num_cpus=1)
def work_in_child(limits: ChildLimits, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Any]:
    """Return the result of some work on each item, or how its process was lost."""
    return list(_child(limits).map(work, items))


@functools.cache
def _child(limits: ChildLimits) -> Child:
    """Return this worker's process for meshes, which lives from task to task."""
    return Child(limits, preload=["featurelib.validation.dataset.warm"])
