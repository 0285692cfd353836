"""Training samples as one Ray Data stream from the shards: read, drop by split, shuffle, decode, mirror.

One execution serves all epochs: a stream that is opened again for every epoch pays 15 s for each on two cores,
to start its tasks and to drain. The unit of work is a segment, some shards of one pass over one split. There
are at most MAX_SEGMENTS in a pass, so that the plan stays small whatever the dataset's size.

All blocks hold the same number of rows, a worker's share of some steps, and the workers' shares of the same steps
follow each other. So Ray's splitter, which gives the next block to whom it gave the least, deals them out in turn:
every worker sees every step, and the number of workers does not change what a step holds. A segment's last blocks
are filled up with rows that no worker sees.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray
from ray.data import ExecutionOptions, ExecutionResources

from featurelib.datasets.shards import Manifest, read_views
from featurelib.models.detector.samples import COLUMNS, Batch, Labels, Sample, batches, shuffled, with_mirrors
from jobs.workers import cluster

MAX_SEGMENTS = 128
"""Of a pass: so many CPUs can decode at once."""

BUFFERS_A_SEGMENT = 4
"""Samples of a segment, in shuffle buffers. A segment drops less than a batch at its end."""


class Segment(NamedTuple):
    """Some shards' samples: one part of the pass over a split in an epoch, counted from 0."""

    epoch: int
    split: str
    part: int


BLOCK_BYTES, BLOCK_STEPS = 16_000_000, 16
"""Of a block, about and at most. Whatever a block holds, it costs Ray's scheduling 20 ms of CPU, and of each task it
takes two at once and then looks away for up to 0.1 s. Blocks of one step of 32 images took 0.4 of a core."""


AHEAD_BYTES = 64_000_000
"""Of decoded samples that wait, for each CPU of the cluster, about: Ray Data stops reading there. By itself it stops at
a share of the object store, 3 GB of 23, which a stream fills that is eight times as fast as the step."""


def in_order() -> ExecutionOptions:
    """Return how Ray Data runs a sample_stream: blocks in their order, and not far ahead of the training."""
    limits = ExecutionResources(object_store_memory=AHEAD_BYTES * cluster.num_cpus())
    return ExecutionOptions(preserve_order=True, resource_limits=limits)


@dataclass(frozen=True)
class StreamPlan:
    """What the stream holds: for each epoch its training segments and then its validation segments.

    manifest: of the shards. input_size: of the images. batch_size: over all workers. epochs: in all;
    first_epoch: where to begin. shuffle_buffer: samples mixed in memory. seed: of the order. mirror, occluded: as of
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
        """Return into how many segments a pass over a split is cut."""
        samples = self.manifest.views[split] * (2 if split == "train" else 1)
        room = BUFFERS_A_SEGMENT * max(self.shuffle_buffer, self.batch_size)
        return min(MAX_SEGMENTS, len(self.manifest.shards), math.ceil(samples / room))

    def steps_a_block(self, workers: int) -> int:
        """Return of how many steps a block holds a worker's share."""
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
        """Return a segment's shards; training takes them in an order drawn anew for each epoch."""
        uris = np.array(self.manifest.shard_uris)
        if segment.split == "train":
            uris = self._rng(segment.epoch).permutation(uris)
        return [str(uri) for uri in np.array_split(uris, self.num_segments(segment.split))[segment.part]]

    def batches(self, segment: Segment) -> Iterator[Batch]:
        """Yield a segment's batches: training ones mirrored and shuffled, validation ones padded to their size."""
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
    """Return the plan's samples; a block is one worker's share of `plan.steps_a_block`.

    Columns: epoch, split, step (1 is a block's first; 0 fills a block), image (s, s, c) uint8, and of Labels
    points (2, 2), near, visible (2,) and weight.
    """
    count = len(plan.segments())
    segments = ray.data.range(count, override_num_blocks=count)
    segments.context.target_max_block_size = BLOCK_BYTES  # what a task collects before it yields: by itself 128 MB
    return segments.map_batches(_read_segment, batch_size=1, fn_kwargs={"plan": plan, "workers": workers}).repartition(
        target_num_rows_per_block=plan.steps_a_block(workers) * (plan.batch_size // workers)
    )


def _read_segment(batch: dict[str, NDArray], plan: StreamPlan, workers: int) -> Iterator[dict[str, Any]]:
    """Column in: id of a segment, one row. Columns out: as of sample_stream, a block of each worker at once."""
    segment = plan.segments()[int(batch["id"][0])]
    batches, count = plan.batches(segment), plan.steps_a_block(workers)
    while group := list(islice(batches, count)):
        labels = zip(*(labels for _, labels in group), strict=True)
        columns: dict[str, Sequence[NDArray]] = {
            "step": [np.full(plan.batch_size, 1 + i, np.int32) for i in range(len(group))],
            "image": [images for images, _ in group],
            **dict(zip(Labels._fields, labels, strict=True)),
        }
        run_in_chunks = {name: _deal(parts, count, workers) for name, parts in columns.items()}
        rows = len(run_in_chunks["step"])
        yield {"epoch": np.full(rows, segment.epoch, np.int32), "split": np.full(rows, segment.split), **run_in_chunks}


def _deal(parts: Sequence[NDArray], count: int, workers: int) -> NDArray:
    """Return the rows of `count` steps, first all of the first worker's; steps that are not there are zeros."""
    rows = parts[0].shape[1:]
    run_in_chunks = np.zeros((workers, count, len(parts[0]) // workers, *rows), parts[0].dtype)
    for i, part in enumerate(parts):
        run_in_chunks[:, i] = part.reshape(workers, -1, *rows)
    return run_in_chunks.reshape(-1, *rows)


def passes_of(
    share: ray.data.DataIterator, batch_size: int | None = None
) -> Iterator[tuple[tuple[int, str], Iterator[Batch]]]:
    """Yield the passes of a worker's share of a sample_stream, each with its epoch and split.

    They come in turn: training, validation, training, and so on. `batch_size` is the worker's, if it shall be checked.
    """
    blocks = share.iter_batches(batch_size=None, prefetch_batches=2)
    for key, one_pass in groupby(blocks, key=lambda block: (int(block["epoch"][0]), str(block["split"][0]))):
        yield key, chain.from_iterable(_steps(block, batch_size) for block in one_pass)


def _steps(block: dict[str, NDArray], batch_size: int | None) -> Iterator[Batch]:
    """Yield a worker's batches of a block; they are views of it."""
    share = int(np.count_nonzero(block["step"] == 1))
    if batch_size is not None and share != batch_size:
        raise RuntimeError(f"steps of {share} samples; expected {batch_size}, a worker's share")
    for first in range(0, share * int(block["step"].max()), share):
        rows = slice(first, first + share)
        yield Batch(block["image"][rows], Labels(*(block[name][rows] for name in Labels._fields)))
