"""Do landmarks lie on their meshes? If not, would they in another unit, or in the other axes of Slicer?"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from featurelib.geometry import MM_PER_UNIT

ON_SURFACE = 0.03
"""Median distance of landmarks from the nearest vertex, as a share of the mesh's diagonal, at which they lie on it. On
heads it is 0.002 at the tragus, and at least 0.2 in a wrong unit or in the other axes."""

CLEARLY = 4.0
"""Another reading is named if it comes so many times closer."""


class Placement(NamedTuple):
    """How far landmarks are from their meshes, in shares of their diagonals, as they are read and in the best reading.

    unit: of the points' numbers in that reading. is_turned: whether x and y are the other way in it.
    """

    share: float
    best_share: float
    unit: str
    is_turned: bool

    @property
    def is_off(self) -> bool:
        """Whether another reading puts the landmarks on the surface, and this one does not."""
        return self.share > ON_SURFACE >= self.best_share and self.share > CLEARLY * self.best_share


def placement(
    objects: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], read_unit: str, *, turn: bool
) -> Placement:
    """Return how landmarks lie on meshes.

    Args:
        objects: vertices (n, 3) and landmarks (2, 3) of a few objects, in one frame and unit.
        read_unit: that the points' numbers were taken to be in.
        turn: whether the points may be in Slicer's other axes.
    """
    turns = (False, True) if turn else (False,)
    readings: dict[tuple[str, bool], list[float]] = {(other, turned): [] for turned in turns for other in MM_PER_UNIT}
    for vertices, pair in objects:
        tree, size = KDTree(vertices), np.linalg.norm(np.ptp(vertices, axis=0))
        for (other, turned), shares in readings.items():
            flip = np.array([-1, -1, 1]) if turned else np.ones(3)
            places = pair * flip * (MM_PER_UNIT[other] / MM_PER_UNIT[read_unit])
            shares.extend(tree.query(places)[0] / size)
    medians = {reading: float(np.median(shares)) for reading, shares in readings.items()}
    (best_unit, is_turned) = min(medians, key=lambda reading: medians[reading])
    return Placement(medians[read_unit, False], medians[best_unit, is_turned], best_unit, is_turned)
