"""A stream of Ray Data in which each block is one file of a result: `render` makes shards so, and `predict` parts.

Ray Data starts the task of a lost worker again, for ever, and ends an execution after half an hour without a finished
block. Here a block that has lost TRIES workers is rejected by its next one (`is_out_of_tries`), and the half hour
becomes as long as the slowest block may lawfully take.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from featurelib.errors import FeaturelibError
from featurelib.runtime.sandbox import SandboxLimits
from jobs.workers import cluster

P = ParamSpec("P")

TRIES = 4
"""Number of workers or nodes that may die while they work on a block. A preempted node costs each of its blocks one."""

RESULT = "result"
"""The column of a block that holds the result of a task, any Python object."""

NO_PROGRESS_S = 1800.0
"""Ray Data's own limit of the time without a finished block, and ours where blocks take less."""


def block_stream(blocks: Sequence[pa.Table], slowest_s: float) -> ray.data.Dataset:
    """Return a stream of these blocks, one task each, for `map_batches`.

    Args:
        blocks: one for each file of the result.
        slowest_s: the longest time that a task may take for a block.
    """
    cluster.connect_for_data()
    stream = ray.data.from_blocks(list(blocks))  # from_arrow would run a task per block for its metadata
    context = stream.context
    context.target_max_block_size = None  # a block is a file, which must not be split
    context.execution_no_progress_timeout_s = max(NO_PROGRESS_S, TRIES * slowest_s)
    # With a budget per operator, about one task runs until Ray Data's coordinator answers, a second after the start.
    context.op_resource_reservation_enabled = False
    return stream


def slowest_block_s(num_objects: int, limits: SandboxLimits) -> float:
    """Return the longest time of a block of sandboxed work: the limit of each object, twice if its process is lost."""
    return 2 * num_objects * limits.seconds


def is_out_of_tries() -> bool:
    """Return whether TRIES workers died on this task's block; called within a task of Ray Data."""
    worker = ray._private.worker.global_worker  # Ray has no public name for the number of a task's attempts
    return bool(worker.connected and worker.core_worker.get_current_task_attempt_number() >= TRIES)


LOST = f"ended its worker {TRIES} times"
"""The reason of the objects of such a block."""


def job_block(objects: pa.Table, **values: Any) -> pa.Table:
    """Return a block of one row with a job: its objects, and values of JSON types."""
    rows = objects.combine_chunks().to_struct_array()
    (members,) = rows.chunks or [pa.array([], rows.type)]
    return pa.table(
        {"objects": pa.ListArray.from_arrays([0, len(members)], members), "values": pa.array([json.dumps(values)])}
    )


def job_of(block: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """Return the objects and the values of a block from job_block."""
    (values,) = block["values"].to_pylist()
    return pa.Table.from_struct_array(block["objects"].combine_chunks().flatten()), json.loads(values)


def returns_block(work: Callable[P, Any]) -> Callable[P, dict[str, NDArray]]:
    """Return the function of a stage: it returns the result of `work` as a block, and an error of ours as a result.

    Ray Data reports an exception of a task by its traceback alone.
    """

    @functools.wraps(work)
    def stage(*args: P.args, **kwargs: P.kwargs) -> dict[str, NDArray]:
        column = np.empty(1, dtype=object)
        try:
            column[0] = work(*args, **kwargs)
        except FeaturelibError as error:
            column[0] = error
        return {RESULT: column}

    return stage


def result_of(row: Mapping[str, Any]) -> Any:
    """Return the result in a row of such a block.

    Raises:
        FeaturelibError: if `work` raised it.
    """
    if isinstance(row[RESULT], FeaturelibError):
        raise row[RESULT]
    return row[RESULT]


def results(stream: ray.data.Dataset) -> Iterator[Any]:
    """Yield the result of each task as it comes.

    Raises:
        FeaturelibError: the first that a task raised.
    """
    return (result_of(row) for row in stream.iter_rows())
