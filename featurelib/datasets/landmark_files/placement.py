"""The distance of landmarks from their meshes: of a few in other units and axes, and of each point of each object."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from featurelib.geometry import MM_PER_UNIT, SIDES
from featurelib.meshes.surface import closest_points

ON_SURFACE = 0.03
"""Largest median distance of landmarks on the surface from the nearest vertex, as a share of the mesh's diagonal. On
heads it is 0.002 at the tragus, and at least 0.2 in a wrong unit or in the other axes."""

TIMES_CLOSER = 4.0
"""Another reading is proposed only if it is this many times closer."""

OFF_SHARE = 0.05
"""A landmark farther from its mesh than this share of the mesh's diagonal is named. On 100 heads
whose landmarks are on the surface the farthest is at 2e-7; marks that were moved with their mesh are at 0.05 to 0.2."""

UNPLACED_SHARE = 0.01
"""A point at exactly 0, 0, 0 that is farther from the mesh than this share was not placed."""

TOO_FAR_SHARE = 1.0
"""A landmark farther from its mesh than its size belongs to another mesh or to other axes, and is left out."""


class OffMesh(NamedTuple):
    """How far an object's landmarks are from its mesh.

    distances_mm: of left and right. size_mm: the diagonal of the mesh. is_zero: whether each is at exactly 0, 0, 0.
    """

    distances_mm: tuple[float, ...]
    size_mm: float
    is_zero: tuple[bool, ...]

    @property
    def why_left_out(self) -> str | None:
        """The points that cannot be landmarks of this mesh, and the fix; None if there are none."""
        sides = [*zip(SIDES, self.distances_mm, self.is_zero, strict=True)]
        zeros = [side for side, mm, is_zero in sides if is_zero and mm > UNPLACED_SHARE * self.size_mm]
        if zeros:
            return f"{' and '.join(zeros)} at 0, 0, 0, off the mesh: not placed; place it, or remove the object's row"
        if max(self.distances_mm) > TOO_FAR_SHARE * self.size_mm:
            return f"{self._places(TOO_FAR_SHARE)}; they belong to another mesh, unit or axes"
        return None

    @property
    def warning(self) -> str | None:
        """The points that are far from the mesh; None if there are none."""
        return self._places(OFF_SHARE) if max(self.distances_mm) > OFF_SHARE * self.size_mm else None

    def _places(self, share: float) -> str:
        return " and ".join(
            f"{side} is {mm:.3g} mm off the mesh, {100 * mm / self.size_mm:.0f} % of its size"
            for side, mm in zip(SIDES, self.distances_mm, strict=True)
            if mm > share * self.size_mm
        )


def off_mesh(
    landmarks_mm: NDArray[np.floating], vertices_mm: NDArray[np.floating], faces: NDArray[np.integer]
) -> OffMesh:
    """Return the distances of a pair (2, 3) from its mesh.

    A vertex within UNPLACED_SHARE of the size is near enough; the distance from the triangles takes ten times as long
    and is computed only without one.
    """
    size_mm = float(np.linalg.norm(np.ptp(vertices_mm, axis=0)))
    distances_mm = [float(np.linalg.norm(vertices_mm - point, axis=1).min()) for point in landmarks_mm]
    if max(distances_mm) > UNPLACED_SHARE * size_mm:
        distances_mm = closest_points(landmarks_mm, vertices_mm, faces)[1].tolist()
    return OffMesh(tuple(distances_mm), size_mm, tuple(not point.any() for point in landmarks_mm))


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
