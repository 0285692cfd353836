"""Which labelled crops a stage is trained on, cut into parts that are drawn apart and give the same every time.

The unit of work is a segment: some random objects, each loaded once, whose images are shuffled and dealt into whole
batches. So batches mix objects although no image is ever kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.errors import DataError
from featurelib.models.refiner.samples import both_sides, crop_samples
from featurelib.models.refiner.stages import Frame, InitialErrors

SEGMENT = 512
"""Images of a segment, about: 14 MB at 96 pixels. Loading a head takes 10 ms, as long as drawing 12 of them."""

OBJECTS_AT_ONCE = 16
"""Objects of a segment, at most: 16 images of either side of each."""


class CropBatch(NamedTuple):
    """A segment's samples.

    images: (n, s, s, 3) uint8. xy: (n, 2) float32. skipped: the reason for each object whose mesh is bad.
    """

    images: NDArray[np.uint8]
    xy: NDArray[np.float32]
    skipped: list[str]


@dataclass(frozen=True, eq=False)
class SamplePlan:
    """The samples of one stage.

    dataset: where the meshes are; its table of objects is not looked at. meshes: (n,) files; pairs_mm: (n, 2, 3).
    frame, starts: of the stage. batch_size, num_batches: all in all. seed: of all that is random.
    """

    dataset: Dataset
    meshes: tuple[MeshFile, ...]
    pairs_mm: NDArray[np.float64]
    frame: Frame
    starts: InitialErrors
    batch_size: int
    num_batches: int
    seed: tuple[int, ...] = (0,)

    @property
    def num_segments(self) -> int:
        """How many segments there are."""
        return math.ceil(self.num_batches / self._batches_each)

    @property
    def _batches_each(self) -> int:
        return max(1, SEGMENT // self.batch_size)

    def objects(self, segment: int) -> tuple[int, NDArray[np.int64]]:
        """Return the pass over the objects to which a segment belongs, and its objects.

        Each pass takes all objects, in an order of its own.
        """
        parts = math.ceil(len(self.meshes) / OBJECTS_AT_ONCE)
        one_pass, part = divmod(segment, parts)
        order = np.random.default_rng((*self.seed, one_pass)).permutation(len(self.meshes))
        return one_pass, np.array_split(order, parts)[part]

    def draw(self, segment: int) -> CropBatch:
        """Return a segment's samples, shuffled.

        In place of those of a mesh that cannot be read others of the segment stand twice; there are none at all if
        no mesh can be read.
        """
        one_pass, objects = self.objects(segment)
        count = self.batch_size * min(self._batches_each, self.num_batches - segment * self._batches_each)
        each = math.ceil(count / (2 * len(objects)))
        images, xy, skipped = [], [], []
        for i in objects:
            try:
                mesh = self.dataset.load(self.meshes[i])
            except DataError as error:
                skipped.append(str(error))
                continue
            random = np.random.default_rng((*self.seed, one_pass, int(i)))
            for side, point_mm in both_sides(mesh, self.pairs_mm[i]):
                samples = crop_samples(side, point_mm, self.frame, self.starts, random, each)
                images.append(samples[0])
                xy.append(samples[1])
        if not images:
            size = self.frame.size_px
            return CropBatch(np.empty((0, size, size, 3), np.uint8), np.empty((0, 2), np.float32), skipped)
        every = np.random.default_rng((*self.seed, one_pass, len(self.meshes), segment)).permutation(len(xy) * each)
        kept = np.resize(every, count)
        return CropBatch(np.concatenate(images)[kept], np.concatenate(xy)[kept], skipped)

    def batches(self, segment: int) -> Iterator[CropBatch]:
        """Yield a segment's batches; the first names what was skipped."""
        drawn = self.draw(segment)
        for start in range(0, len(drawn.xy), self.batch_size):
            batch = slice(start, start + self.batch_size)
            yield CropBatch(drawn.images[batch], drawn.xy[batch], [] if start else drawn.skipped)
