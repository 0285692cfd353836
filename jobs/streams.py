"""Training samples as one Ray Data stream from the shards: read, drop by split, shuffle, decode, mirror.

One execution serves all epochs: a stream that is opened again for every epoch pays 15 s for each on two cores,
to start its tasks and to drain. The unit of work is a segment, some shards of one pass over one split. There
are at most MAX_SEGMENTS in a pass, so that the plan stays small whatever the dataset's size.

All blocks hold the same number of samples, a worker's share of one step, and the shares of a step follow each
other. So Ray's splitter, which gives the next block to whom it gave the least, deals them out in turn: every
worker sees every step, and the number of workers does not change what a step holds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.detector.samples import COLUMNS, Batch, Labels, Sample, batches, shuffled, with_mirrors
from featurelib.shards import Manifest, read_views

MAX_SEGMENTS = 128
"""Of a pass: so many CPUs can decode at once."""

BUFFERS_A_SEGMENT = 4
"""Samples of a segment, in shuffle buffers. A segment drops less than a batch at its end."""


class Segment(NamedTuple):
    """Some shards' samples: one part of the pass over a split in an epoch, counted from 0."""

    epoch: int
    split: str
    part: int


@dataclass(frozen=True)
class StreamPlan:
    """What the stream holds: for each epoch its training segments and then its validation segments.

    manifest: of the shards. input_size: of the pictures. batch_size: over all workers. epochs: in all;
    first_epoch: where to begin. shuffle_buffer: samples mixed in memory. seed: of the order.
    """

    manifest: Manifest
    input_size: int
    batch_size: int
    epochs: int
    first_epoch: int = 0
    shuffle_buffer: int = 2000
    seed: int = 0

    def num_segments(self, split: str) -> int:
        """Return into how many segments a pass over a split is cut."""
        samples = self.manifest.views[split] * (2 if split == "train" else 1)
        room = BUFFERS_A_SEGMENT * max(self.shuffle_buffer, self.batch_size)
        return min(MAX_SEGMENTS, len(self.manifest.shards), math.ceil(samples / room))

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
        order = shuffled(with_mirrors(views), self.shuffle_buffer, self._rng(segment.epoch, 1 + segment.part))
        yield from batches(order, self.batch_size, self.input_size)

    def _rng(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *numbers))


def sample_stream(plan: StreamPlan, workers: int = 1) -> ray.data.Dataset:
    """Return the plan's samples; a block is one worker's share of a step.

    Columns: epoch, split, picture (s, s, c) uint8, and of Labels points (2, 2), near, visible (2,) and weight.
    """
    count = len(plan.segments())
    return (
        ray.data.range(count, override_num_blocks=count)
        .map_batches(_read_segment, batch_size=1, fn_kwargs={"plan": plan})
        .repartition(target_num_rows_per_block=plan.batch_size // workers)
    )


def _read_segment(batch: dict[str, NDArray], plan: StreamPlan) -> Iterator[dict[str, Any]]:
    """Column in: id of a segment, one row. Columns out: as of sample_stream."""
    segment = plan.segments()[int(batch["id"][0])]
    for pictures, labels in plan.batches(segment):
        count = len(pictures)
        yield {
            "epoch": np.full(count, segment.epoch, np.int32),
            "split": np.full(count, segment.split),
            "picture": pictures,
            **labels._asdict(),
        }


def passes_of(
    share: ray.data.DataIterator, batch_size: int | None = None
) -> Iterator[tuple[tuple[int, str], Iterator[Batch]]]:
    """Yield the passes of a worker's share of a sample_stream, each with its epoch and split.

    They come in turn: training, validation, training, and so on. `batch_size` is the worker's, if it shall be checked.
    """
    blocks = share.iter_batches(batch_size=None, prefetch_batches=2)
    for key, one_pass in groupby(blocks, key=lambda block: (int(block["epoch"][0]), str(block["split"][0]))):
        yield key, (_batch(block, batch_size) for block in one_pass)


def _batch(block: dict[str, NDArray], batch_size: int | None) -> Batch:
    if batch_size is not None and len(block["weight"]) != batch_size:
        raise RuntimeError(f"a block of {len(block['weight'])} samples; expected {batch_size}, a worker's share")
    return Batch(block["picture"], Labels(*(block[name] for name in Labels._fields)))
