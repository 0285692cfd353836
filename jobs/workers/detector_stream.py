"""A detector's training samples as one Ray Data stream from the shards: read, filter by split, mirror, shuffle, decode.

One execution serves all epochs: opening a stream per epoch takes 15 s each on two cores, to start its tasks and to
drain.

All blocks have the same number of rows, one worker's share of some steps, and the workers' shares of the same steps are
consecutive. Ray's splitter gives the next block to the worker with the fewest rows, so the workers take blocks in turn.
Each worker gets its share of each step, and the samples of a step do not depend on the number of workers. The last
blocks of a segment are padded with rows that no worker uses.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.data import ExecutionOptions, ExecutionResources

from featurelib.models.detector.samples import Batch, Labels
from jobs.workers import cluster
from jobs.workers.detector_samples import StreamPlan

BLOCK_BYTES, BLOCK_STEPS = 16_000_000, 16
"""Approximate size and maximum number of steps of a block. Each block costs Ray's scheduler 20 ms of CPU. The scheduler
takes two blocks at once from a task, and then none for up to 0.1 s. Blocks of one step of 32 images took 0.4 of a
core."""


AHEAD_BYTES = 64_000_000
"""Approximate limit of the decoded samples in the object store, per CPU of the cluster. Ray Data's own limit is a share
of the object store, 3 GB of 23, and a stream eight times as fast as the step fills it."""


def in_order() -> ExecutionOptions:
    """Return Ray Data's options for a sample_stream: blocks in order, and not far ahead of the training."""
    limits = ExecutionResources(object_store_memory=AHEAD_BYTES * cluster.num_cpus())
    return ExecutionOptions(preserve_order=True, resource_limits=limits)


def steps_per_block(plan: StreamPlan, workers: int) -> int:
    """Return the number of steps in a block."""
    share_bytes = plan.batch_size // workers * plan.input_size**2 * plan.manifest.channels
    return min(BLOCK_STEPS, max(1, BLOCK_BYTES // share_bytes))


def sample_stream(plan: StreamPlan, workers: int = 1) -> ray.data.Dataset:
    """Return the plan's samples; a block is one worker's share of `steps_per_block` steps.

    Columns: epoch, split, step (from 1 within a block; 0 for padding), image (s, s, c) uint8, and the fields of Labels:
    points (k, 2), known (k,), near (s,), visible (k,) and weight.
    """
    count = len(plan.segments())
    segments = ray.data.range(count, override_num_blocks=count)
    segments.context.target_max_block_size = BLOCK_BYTES  # a task's output buffer; 128 MB by default
    read = segments.map_batches(
        _read_segment,
        batch_size=1,
        fn_kwargs={"plan": plan, "workers": workers},
        label_selector=cluster.off_gpu_nodes(),
    )
    return read.repartition(target_num_rows_per_block=steps_per_block(plan, workers) * (plan.batch_size // workers))


def _read_segment(batch: dict[str, NDArray], plan: StreamPlan, workers: int) -> Iterator[dict[str, Any]]:
    """Read a segment. Column in: id, its number, in one row. Columns out: as of sample_stream, one block per worker."""
    segment = plan.segments()[int(batch["id"][0])]
    batches, count = plan.batches(segment), steps_per_block(plan, workers)
    while group := list(islice(batches, count)):
        labels = zip(*(labels for _, labels in group), strict=True)
        columns: dict[str, Sequence[NDArray]] = {
            "step": [np.full(plan.batch_size, 1 + i, np.int32) for i in range(len(group))],
            "image": [images for images, _ in group],
            **dict(zip(Labels._fields, labels, strict=True)),
        }
        columns_by_worker = {name: _deal(parts, count, workers) for name, parts in columns.items()}
        rows = len(columns_by_worker["step"])
        yield {
            "epoch": np.full(rows, segment.epoch, np.int32),
            "split": np.full(rows, segment.split),
            **columns_by_worker,
        }


def _deal(parts: Sequence[NDArray], count: int, workers: int) -> NDArray:
    """Return the rows of `count` steps, worker by worker; missing steps are zeros."""
    rows = parts[0].shape[1:]
    rows_by_worker = np.zeros((workers, count, len(parts[0]) // workers, *rows), parts[0].dtype)
    for i, part in enumerate(parts):
        rows_by_worker[:, i] = part.reshape(workers, -1, *rows)
    return rows_by_worker.reshape(-1, *rows)


def passes_of(
    share: ray.data.DataIterator, batch_size: int | None = None
) -> Iterator[tuple[tuple[int, str], Iterator[Batch]]]:
    """Yield the passes of a worker's share of a sample_stream, each with its epoch and split.

    Training and validation passes alternate. If `batch_size`, a worker's, is given, batches are checked against it.
    """
    blocks = share.iter_batches(batch_size=None, prefetch_batches=2)
    for key, one_pass in groupby(blocks, key=lambda block: (int(block["epoch"][0]), str(block["split"][0]))):
        yield key, chain.from_iterable(_steps(block, batch_size) for block in one_pass)


def _steps(block: dict[str, NDArray], batch_size: int | None) -> Iterator[Batch]:
    """Yield a worker's batches of a block, as views of its arrays."""
    share = int(np.count_nonzero(block["step"] == 1))
    if batch_size is not None and share != batch_size:
        raise RuntimeError(f"steps of {share} samples; expected {batch_size}, a worker's share")
    for first in range(0, share * int(block["step"].max()), share):
        rows = slice(first, first + share)
        yield Batch(block["image"][rows], Labels(*(block[name][rows] for name in Labels._fields)))
