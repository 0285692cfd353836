"""A stream of blocks: all CPUs at once, a bounded number of tries, and no end while a slow block works."""

import json
import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest
from ray.data.exceptions import ExecutionTimeoutError

from featurelib.errors import DataError
from featurelib.runtime.sandbox import SandboxLimits
from jobs.workers import block_stream as module
from jobs.workers.block_stream import (
    NO_PROGRESS_S,
    TRIES,
    block_stream,
    is_out_of_tries,
    job_block,
    job_of,
    results,
    returns_block,
    slowest_block_s,
)

OBJECTS = pa.table({"object_id": ["a", "b", "c"], "rotation_wxyz": [[1.0, 0.0, 0.0, 0.0], None, None]})


def blocks(count):
    """Jobs with their number as value."""
    return [job_block(OBJECTS, number=number) for number in range(count)]


@pytest.mark.parametrize("objects", [OBJECTS, OBJECTS.slice(1, 1), OBJECTS.slice(0, 0)])
def test_a_job_comes_back_from_its_block(objects):
    """Also without objects, and from a table that is a slice of another."""
    found, values = job_of(job_block(objects, bucket=3, existing=["x"]))

    assert found.equals(objects)
    assert values == {"bucket": 3, "existing": ["x"]}


@returns_block
def times_of(block):
    """Work for two seconds; the result is when that began."""
    started = time.time()
    time.sleep(2)
    return (job_of(block)[1]["number"], started)


def test_all_cpus_work_from_the_start(cluster):
    """The second task does not wait until Ray Data's coordinator has answered, and each block has one result."""
    stream = block_stream(blocks(4), 1.0).map_batches(times_of, batch_size=None, batch_format="pyarrow")
    found = dict(results(stream))

    assert not stream.context.op_resource_reservation_enabled
    assert sorted(found) == [0, 1, 2, 3]
    first, second, *_ = sorted(found.values())
    assert second - first < 1.5


@returns_block
def end_the_worker(block, folder):
    """Leave a file, and end the worker of block 1 until it is out of tries."""
    number = job_of(block)[1]["number"]
    if number == 1 and not is_out_of_tries():
        Path(folder, f"{time.time_ns()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return (number, is_out_of_tries())


def test_a_block_that_ends_its_worker_is_tried_a_bounded_number_of_times(cluster, tmp_path):
    """The other blocks are unharmed."""
    stream = block_stream(blocks(4), 1.0).map_batches(
        end_the_worker, fn_kwargs={"folder": str(tmp_path)}, batch_size=None, batch_format="pyarrow"
    )

    assert dict(results(stream)) == {0: False, 1: True, 2: False, 3: False}
    assert len(list(tmp_path.iterdir())) == TRIES


@returns_block
def work_slowly(block):
    """Take three seconds."""
    time.sleep(3)
    return job_of(block)[1]["number"]


@pytest.mark.parametrize(("seconds", "ends"), [(0.5, True), (0.05, False)])
def test_the_limit_without_progress_follows_from_those_of_the_objects(cluster, monkeypatch, seconds, ends):
    """A block of three objects with lawful limits ends, although Ray Data's own limit, scaled down, is shorter."""
    monkeypatch.setattr(module, "NO_PROGRESS_S", 0.5)
    slowest_s = slowest_block_s(len(OBJECTS), SandboxLimits(seconds=seconds))
    stream = block_stream(blocks(1), slowest_s).map_batches(work_slowly, batch_size=None, batch_format="pyarrow")
    if ends:
        assert list(results(stream)) == [0]
    else:
        with pytest.raises(ExecutionTimeoutError, match="no progress"):
            list(results(stream))


def test_sixteen_slow_objects_may_take_longer_than_half_an_hour(cluster):
    """Ray Data's own limit would end a shard whose objects take the two minutes that each may."""
    slowest_s = slowest_block_s(16, SandboxLimits(seconds=120))

    assert slowest_s > NO_PROGRESS_S
    assert block_stream(blocks(1), slowest_s).context.execution_no_progress_timeout_s == TRIES * slowest_s
    assert block_stream(blocks(1), 1.0).context.execution_no_progress_timeout_s == NO_PROGRESS_S


@returns_block
def refuse(block):
    """Raise as a task whose file is bad."""
    raise DataError(f"{json.dumps(job_of(block)[1])}: bad")


def test_an_error_of_a_task_ends_the_stream(cluster):
    """It is not tried again, and no block is dropped."""
    stream = block_stream(blocks(2), 1.0).map_batches(refuse, batch_size=None, batch_format="pyarrow")

    with pytest.raises(DataError, match=r'\{"number": [01]\}: bad'):
        list(results(stream))
