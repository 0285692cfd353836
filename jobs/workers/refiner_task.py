"""What the training of a refiner is given: objects, estimates, flags; and the samples that follow from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from ray.util.queue import Queue

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, canonical
from featurelib.meshes import Mesh
from featurelib.models.refiner.anatomy import Anatomy
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.estimates import FirstEstimates
from featurelib.models.refiner.plan import SamplePlan
from featurelib.models.refiner.repair import MeanShape
from featurelib.models.refiner.sides import training_sides
from featurelib.models.refiner.stages import CropSize, InitialErrors

MAX_VALIDATION_CROPS, TRAINING_PER_VALIDATION = 1024, 16
"""Validation crops of a stage, which serve the progress lines only: at most one per 16 training crops, since each is
evaluated REPORTS times. With 1,024 for 3,840 they took a third of the training's time."""

PAIR_CROPS, MORE_CROPS = 51_200, 1600
"""Training crops per stage for one channel of the networks, and for each further one."""

CONTINUED_CROPS, CONTINUED_RATE = 0.25, 0.5
"""Shares of the crops and of the learning rate for networks that are trained already."""

PROBED_OBJECTS = 5
"""Training objects on which the directions that show each landmark are looked up, for both sides; 43 channels take 10 s
of CPU."""


def default_crops(landmarks: LandmarkSet, *, is_continued: bool = False) -> int:
    """Return the number of training crops per stage for a landmark set; fewer for networks that are trained already."""
    crops = PAIR_CROPS + MORE_CROPS * (canonical(landmarks).num_channels - 1)
    return round(CONTINUED_CROPS * crops) if is_continued else crops


@dataclass(frozen=True, kw_only=True, eq=False)
class RefinerTask:
    """What the training task is given.

    name: starts each line of progress. uri: the refiner's folder. landmarks: the set. mean_mm: (k, 3) mean landmarks.
    dataset, meshes (n,), landmarks_mm (n, k, 3), absent (n, k): of training; landmarks_mm is NaN where unknown.
    estimates: of validation objects. crop_size: of the first stage. num_crops, batch_size, learning_rate, seed: flags
    of train-refiner. threads: of TensorFlow. queue: takes lines of progress. start_uri: folder of a refiner whose
    networks are trained further. networks_uri: folder of a refiner whose networks are reused; None if networks are
    trained.
    """

    name: str
    uri: str
    landmarks: LandmarkSet
    mean_mm: NDArray[np.float64]
    dataset: Dataset
    meshes: tuple[MeshFile, ...]
    landmarks_mm: NDArray[np.float64]
    absent: NDArray[np.bool_]
    estimates: FirstEstimates
    crop_size: CropSize
    num_crops: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int
    queue: Queue
    start_uri: str | None = None
    networks_uri: str | None = None

    @property
    def steps(self) -> int:
        """Steps of each stage."""
        return self.num_crops // self.batch_size

    def anatomy(self) -> Anatomy:
        """Return what is refined; the directions of a set are looked up on some training objects."""
        mean_shape = MeanShape.fit(self.mean_mm, self.landmarks_mm)
        directions = Directions.of_pair() if self.landmarks.is_single_pair else self._directions()
        placed = self._places(mean_shape)
        return Anatomy(self.landmarks, mean_shape, directions, bool((self.absent & np.isfinite(placed[..., 0])).any()))

    def _directions(self) -> Directions:
        sides, chosen = training_sides(self.landmarks), np.random.default_rng(self.seed).permutation(len(self.meshes))

        def probed() -> Iterator[tuple[Mesh, NDArray[np.float64]]]:
            found = 0
            for i in chosen:
                try:
                    mesh = self.dataset.load(self.meshes[i])
                except DataError:
                    continue
                yield from zip(sides.meshes(mesh), sides.points_mm(self.landmarks_mm[i]), strict=True)
                found += 1
                if found == PROBED_OBJECTS:
                    return

        return Directions.seen(probed(), sides.num_channels, self.crop_size.width_mm)

    def _places(self, mean_shape: MeanShape) -> NDArray[np.float64]:
        """Return the training landmarks (n, k, 3), absent ones where the mean shape has them."""
        placed = [mean_shape.placed(truths_mm) for truths_mm in self.landmarks_mm]
        return np.where(self.absent[..., None], np.array(placed), self.landmarks_mm)

    def plan(self, anatomy: Anatomy, stage: int, crop_size: CropSize, initial_errors: InitialErrors) -> SamplePlan:
        """Return the training samples of a stage, counted from 0."""
        return SamplePlan(
            self.dataset,
            self.meshes,
            self._places(anatomy.mean_shape),
            self.absent,
            training_sides(self.landmarks),
            anatomy.directions,
            crop_size,
            initial_errors,
            self.batch_size,
            self.steps,
            seed=(self.seed, stage),
        )

    def validation_plan(self, plan: SamplePlan) -> SamplePlan:
        """Return the validation samples of the stage of a training plan."""
        count = math.ceil(min(MAX_VALIDATION_CROPS, self.num_crops / TRAINING_PER_VALIDATION) / self.batch_size)
        estimates = self.estimates
        none_absent = np.zeros_like(estimates.absent)
        plan = replace(plan, meshes=estimates.meshes, landmarks_mm=estimates.truths_mm, absent=none_absent)
        return replace(plan, num_batches=count)
