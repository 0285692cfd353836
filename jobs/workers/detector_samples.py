"""A detector's training samples: which views each step has, in which order, mirrored, shuffled and decoded.

The unit of work is a segment: some shards of one pass over one split. A pass has at most MAX_SEGMENTS, so the plan is
small for any dataset. The samples of a step do not depend on the number of workers, nor on who decodes them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from featurelib.datasets.shards import Manifest, read_views
from featurelib.models.detector.samples import COLUMNS, Batch, Sample, batches, shuffled, with_mirrors
from featurelib.runtime.prefetch import prefetched

MAX_SEGMENTS = 128
"""Maximum number of segments per pass, and so of CPUs that decode in parallel."""

BUFFERS_PER_SEGMENT = 4
"""Minimum number of samples per segment, in shuffle buffers. A segment drops less than one batch at its end."""


class Segment(NamedTuple):
    """One part, counted from 0, of the pass over a split in an epoch."""

    epoch: int
    split: str
    part: int


DECODED_AHEAD = 16
"""Batches that a training without Ray Train decodes ahead: 8 MB of grey images of 128 px."""


@dataclass(frozen=True)
class StreamPlan:
    """The samples of a stream: for each epoch its training segments and then its validation segments.

    manifest: of the shards. input_size: of the images. batch_size: over all workers. epochs: total number; first_epoch:
    the first one in the stream. shuffle_buffer: samples mixed in memory. seed: of the order.
    mirror: as of with_mirrors. occluded: as of featurelib.models.detector.samples.batches, in training.
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
        rows = self.manifest.rows_of(segment.split)
        views = chain.from_iterable(read_views(uri, columns=COLUMNS, **rows) for uri in self.shard_uris(segment))
        decoded = partial(
            batches, batch_size=self.batch_size, input_size=self.input_size, landmarks=self.manifest.landmarks
        )
        if segment.split == "val":
            yield from decoded((Sample(view, False) for view in views), pad=True)
            return
        samples = with_mirrors(views, mirror=self.mirror)
        order = shuffled(samples, self.shuffle_buffer, self._rng(segment.epoch, 1 + segment.part))
        yield from decoded(order, occluded=self.occluded)

    def _rng(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *numbers))


def alone_passes(plan: StreamPlan) -> tuple[Callable[[int], Iterator[Batch]], Callable[[int], Iterator[Batch]]]:
    """Return two functions that open a whole epoch of a plan, for training and for validation.

    The batches are those of `sample_stream`; a thread of this process decodes them.
    """

    def open_pass(split: str, epoch: int) -> Iterator[Batch]:
        parts = (plan.batches(Segment(epoch, split, part)) for part in range(plan.num_segments(split)))
        return prefetched(chain.from_iterable(parts), DECODED_AHEAD)

    return partial(open_pass, "train"), partial(open_pass, "val")
