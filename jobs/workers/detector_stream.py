"""A detector's training samples as one Ray Data stream from the shards: read, filter by split, mirror, shuffle, decode.

One execution serves all epochs: opening a stream per epoch takes 15 s each on two cores, to start its tasks and to
drain. The unit of work is a segment: some shards of one pass over one split. A pass has at most MAX_SEGMENTS, so the
plan is small for any dataset.

All blocks have the same number of rows, one worker's share of some steps, and the workers' shares of the same steps are
consecutive. Ray's splitter gives the next block to the worker with the fewest rows, so the workers take blocks in turn.
Each worker gets its share of each step, and the samples of a step do not depend on the number of workers. The last
blocks of a segment are padded with rows that no worker uses.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray
from ray.data import ExecutionOptions, ExecutionResources

from featurelib.datasets.shards import Manifest, read_views
from featurelib.models.detector.samples import COLUMNS, Batch, Labels, Sample, batches, shuffled, with_mirrors
from featurelib.runtime.prefetch import prefetched
from jobs.workers import cluster

MAX_SEGMENTS = 128
"""Maximum number of segments per pass, and so of CPUs that decode in parallel."""

BUFFERS_PER_SEGMENT = 4
"""Minimum number of samples per segment, in shuffle buffers. A segment drops less than one batch at its end."""


class Segment(NamedTuple):
    """One part, counted from 0, of the pass over a split in an epoch."""

    epoch: int
    split: str
    part: int


BLOCK_BYTES, BLOCK_STEPS = 16_000_000, 16
"""Approximate size and maximum number of steps of a block. Each block costs Ray's scheduler 20 ms of CPU. The scheduler
takes two blocks at once from a task, and then none for up to 0.1 s. Blocks of one step of 32 images took 0.4 of a
core."""


AHEAD_BYTES = 64_000_000
"""Approximate limit of the decoded samples in the object store, per CPU of the cluster. Ray Data's own limit is a share
of the object store, 3 GB of 23, and a stream eight times as fast as the step fills it."""


DECODED_AHEAD = 16
"""Batches that a training without Ray Train decodes ahead: 8 MB of grey images of 128 px."""


def in_order() -> ExecutionOptions:
    """Return Ray Data's options for a sample_stream: blocks in order, and not far ahead of the training."""
    limits = ExecutionResources(object_store_memory=AHEAD_BYTES * cluster.num_cpus())
    return ExecutionOptions(preserve_order=True, resource_limits=limits)


@dataclass(frozen=True)
class StreamPlan:
    """The samples of a stream: for each epoch its training segments and then its validation segments.

    manifest: of the shards. input_size: of the images. batch_size: over all workers. epochs: total number; first_epoch:
    the first one in the stream. shuffle_buffer: samples mixed in memory. seed: of the order. mirror, occluded: as of
    with_mirrors.
    """

    manifest: Manifest
    input_size: int
    batch_size: int
    epochs: int
    first_epoch: int = 0
    shuffle_buffer: int = 2000
    seed: int = 0
    mirror: bool = True
    occluded: bool = True

    def num_segments(self, split: str) -> int:
        """Return the number of segments in a pass over a split."""
        samples = self.manifest.views[split] * (2 if split == "train" else 1)
        samples_per_segment = BUFFERS_PER_SEGMENT * max(self.shuffle_buffer, self.batch_size)
        return min(MAX_SEGMENTS, len(self.manifest.shards), math.ceil(samples / samples_per_segment))

    def steps_per_block(self, workers: int) -> int:
        """Return the number of steps in a block."""
        share_bytes = self.batch_size // workers * self.input_size**2 * self.manifest.channels
        return min(BLOCK_STEPS, max(1, BLOCK_BYTES // share_bytes))

    def segments(self) -> list[Segment]:
        """Return all segments in their order."""
        return [
            Segment(epoch, split, part)
            for epoch in range(self.first_epoch, self.epochs)
            for split in ("train", "val")
            for part in range(self.num_segments(split))
        ]

    def shard_uris(self, segment: Segment) -> list[str]:
        """Return the URIs of a segment's shards; training has a new random order in each epoch."""
        uris = np.array(self.manifest.shard_uris)
        if segment.split == "train":
            uris = self._rng(segment.epoch).permutation(uris)
        return [str(uri) for uri in np.array_split(uris, self.num_segments(segment.split))[segment.part]]

    def batches(self, segment: Segment) -> Iterator[Batch]:
        """Yield a segment's batches: mirrored and shuffled for training, padded for validation."""
        views = chain.from_iterable(
            read_views(uri, split=segment.split, columns=COLUMNS) for uri in self.shard_uris(segment)
        )
        if segment.split == "val":
            yield from batches((Sample(view, False) for view in views), self.batch_size, self.input_size, pad=True)
            return
        samples = with_mirrors(views, mirror=self.mirror, occluded=self.occluded)
        order = shuffled(samples, self.shuffle_buffer, self._rng(segment.epoch, 1 + segment.part))
        yield from batches(order, self.batch_size, self.input_size)

    def _rng(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *numbers))


def sample_stream(plan: StreamPlan, workers: int = 1) -> ray.data.Dataset:
    """Return the plan's samples; a block is one worker's share of `plan.steps_per_block` steps.

    Columns: epoch, split, step (from 1 within a block; 0 for padding), image (s, s, c) uint8, and the fields of Labels:
    points (2, 2), near, visible (2,) and weight.
    """
    count = len(plan.segments())
    segments = ray.data.range(count, override_num_blocks=count)
    segments.context.target_max_block_size = BLOCK_BYTES  # a task's output buffer; 128 MB by default
    return segments.map_batches(_read_segment, batch_size=1, fn_kwargs={"plan": plan, "workers": workers}).repartition(
        target_num_rows_per_block=plan.steps_per_block(workers) * (plan.batch_size // workers)
    )


def _read_segment(batch: dict[str, NDArray], plan: StreamPlan, workers: int) -> Iterator[dict[str, Any]]:
    """Read a segment. Column in: id, its number, in one row. Columns out: as of sample_stream, one block per worker."""
    segment = plan.segments()[int(batch["id"][0])]
    batches, count = plan.batches(segment), plan.steps_per_block(workers)
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


def alone_passes(plan: StreamPlan) -> tuple[Callable[[int], Iterator[Batch]], Callable[[int], Iterator[Batch]]]:
    """Return two functions that open a whole epoch of a plan, for training and for validation.

    The batches are those of `sample_stream`; a thread of this process decodes them.
    """

    def open_pass(split: str, epoch: int) -> Iterator[Batch]:
        parts = (plan.batches(Segment(epoch, split, part)) for part in range(plan.num_segments(split)))
        return prefetched(chain.from_iterable(parts), DECODED_AHEAD)

    return partial(open_pass, "train"), partial(open_pass, "val")


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
