"""The distance of landmarks from their meshes, as read and in other units or in the other axes of Slicer."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from featurelib.geometry import MM_PER_UNIT

ON_SURFACE = 0.03
"""Largest median distance of landmarks on the surface from the nearest vertex, as a share of the mesh's diagonal. On
heads it is 0.002 at the tragus, and at least 0.2 in a wrong unit or in the other axes."""

TIMES_CLOSER = 4.0
"""Another reading is proposed only if it is this many times closer."""


class Placement(NamedTuple):
    """The median distance of landmarks from their meshes, as a share of the diagonal, as read and in the best reading.

    unit: of the points in the best reading. is_turned: whether x and y are reversed in it.
    """

    share: float
    best_share: float
    unit: str
    is_turned: bool

    @property
    def is_off(self) -> bool:
        """Whether the best reading puts the landmarks on the surface, and the present one does not."""
        return self.share > ON_SURFACE >= self.best_share and self.share > TIMES_CLOSER * self.best_share


def placement(
    objects: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], read_unit: str, *, turn: bool
) -> Placement:
    """Return the placement of landmarks on meshes.

    Args:
        objects: vertices (n, 3) and landmarks (2, 3) of a few objects, in one frame and unit.
        read_unit: the unit in which the points were read.
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
