"""The plan of a stage's labelled crops: segments that are rendered independently and reproducibly.

A segment holds some random objects, each loaded once. Its crops are shuffled and divided into whole batches, so a batch
mixes objects although no crop is kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.errors import DataError
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import CHANNELS
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.samples import Labels, crop_samples
from featurelib.models.refiner.sides import Sides
from featurelib.models.refiner.stages import CropSize, InitialErrors

SEGMENT = 512
"""Approximate number of crops per segment: 14 MB at 96 pixels. Loading a head takes 10 ms, as long as 12 crops."""

OBJECTS_AT_ONCE = 16
"""Maximum number of objects per segment: 16 crops per side of each object."""


class CropBatch(NamedTuple):
    """Some samples.

    images: (n, s, s, 3) uint8. labels: of the n crops. skipped: one reason per object whose mesh cannot be read.
    """

    images: NDArray[np.uint8]
    labels: Labels
    skipped: list[str]


@dataclass(frozen=True, eq=False)
class SamplePlan:
    """The samples of one stage.

    dataset: loads the meshes; its table of objects is not used. meshes: (n,) files. landmarks_mm: (n, k, 3) true, NaN
    if unknown; an absent one is where it should be. absent: (n, k). sides: of training. directions: of the channels.
    crop_size, initial_errors: of the stage. batch_size, num_batches: of the whole plan. seed: of all random numbers.
    """

    dataset: Dataset
    meshes: tuple[MeshFile, ...]
    landmarks_mm: NDArray[np.float64]
    absent: NDArray[np.bool_]
    sides: Sides
    directions: Directions
    crop_size: CropSize
    initial_errors: InitialErrors
    batch_size: int
    num_batches: int
    seed: tuple[int, ...] = (0,)

    @property
    def num_segments(self) -> int:
        """Number of segments."""
        return math.ceil(self.num_batches / self._batches_each)

    @property
    def _batches_each(self) -> int:
        return max(1, SEGMENT // self.batch_size)

    def objects(self, segment: int) -> tuple[int, NDArray[np.int64]]:
        """Return the number of a segment's pass over the objects, and the indices of its objects.

        Each pass visits all objects in a new random order.
        """
        parts = math.ceil(len(self.meshes) / OBJECTS_AT_ONCE)
        one_pass, part = divmod(segment, parts)
        order = np.random.default_rng((*self.seed, one_pass)).permutation(len(self.meshes))
        return one_pass, np.array_split(order, parts)[part]

    def draw(self, segment: int) -> CropBatch:
        """Return a segment's samples, shuffled.

        If a mesh cannot be read, samples of the segment's other meshes are repeated. If none can be read, there are no
        samples.
        """
        one_pass, objects = self.objects(segment)
        count = self.batch_size * min(self._batches_each, self.num_batches - segment * self._batches_each)
        each = math.ceil(count / (len(self.sides.landmark) * len(objects)))
        drawn, skipped = [], []
        for i in objects:
            try:
                mesh = self.dataset.load(self.meshes[i])
            except DataError as error:
                skipped.append(str(error))
                continue
            random = np.random.default_rng((*self.seed, one_pass, int(i)))
            settings = self.crop_size, self.initial_errors, self.directions, random, each
            drawn += [crop_samples(side, *settings) for side in self._labelled_sides(mesh, i)]
        images = np.concatenate([part for part, _ in drawn] or [_no_images(self.crop_size.size_px)])
        labels = [labels for _, labels in drawn] or [_no_labels(self.sides.num_channels)]
        order = np.random.default_rng((*self.seed, one_pass, len(self.meshes), segment)).permutation(len(images))
        kept = np.resize(order, count if len(images) else 0)
        together = Labels(*(np.concatenate(parts) for parts in zip(*labels, strict=True)))
        return CropBatch(images[kept], together.take(kept), skipped)

    def _labelled_sides(self, mesh: Mesh, i: int) -> Iterator[tuple[Mesh, NDArray[np.float64], NDArray[np.bool_]]]:
        """Yield the mesh, points and absent channels of each side of object i."""
        parts = self.sides.meshes(mesh), self.sides.points_mm(self.landmarks_mm[i]), self.sides.flags(self.absent[i])
        yield from zip(*parts, strict=True)

    def batches(self, segment: int) -> Iterator[CropBatch]:
        """Yield a segment's batches; the first one has the reasons for skipped meshes."""
        drawn = self.draw(segment)
        for start in range(0, len(drawn.images), self.batch_size):
            batch = slice(start, start + self.batch_size)
            yield CropBatch(drawn.images[batch], drawn.labels.take(batch), [] if start else drawn.skipped)


def _no_images(size_px: int) -> NDArray[np.uint8]:
    return np.empty((0, size_px, size_px, CHANNELS), np.uint8)


def _no_labels(num_channels: int) -> Labels:
    none = np.empty((0, num_channels), np.float32)
    return Labels(np.empty((0, num_channels, 2), np.float32), none, none)
