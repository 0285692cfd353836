"""What a refiner is trained for: the landmark set, its mean shape, and the directions that show each landmark."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.repair import MeanShape
from featurelib.models.refiner.sides import Sides, refined_sides


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The landmarks of an object.

    landmarks: the set. mean_shape: mean landmarks. directions: the views of each channel. has_absent: whether some
    training objects lack a landmark, so that the networks learn to tell.
    """

    landmarks: LandmarkSet
    mean_shape: MeanShape
    directions: Directions
    has_absent: bool = False

    @cached_property
    def sides(self) -> Sides:
        """The sides in which landmarks are refined."""
        return refined_sides(self.landmarks)

    @cached_property
    def mean_points_mm(self) -> NDArray[np.float64]:
        """(c, 3) mean points of the channels, as means over the sides; NaN if unknown."""
        points_mm = self.sides.points_mm(self.mean_shape.points_mm)
        known = np.isfinite(points_mm)
        sums = np.sum(points_mm, where=known, axis=0)
        return np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)
