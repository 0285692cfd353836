"""The distance of landmarks from their meshes: of a few in other units and axes, and of each point of each object."""

import math
from collections.abc import Iterable, Sequence
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


FEW_POINTS = 8
"""More points are looked up in a tree."""

POINTS_SHOWN = 6
"""Number of landmarks of an object in a message."""


class OffMesh(NamedTuple):
    """How far an object's landmarks are from its mesh.

    names: of the k landmarks. distances_mm: their distances, NaN where not labelled. size_mm: the diagonal of the mesh.
    is_zero: whether each is at exactly 0, 0, 0.
    """

    names: tuple[str, ...]
    distances_mm: tuple[float, ...]
    size_mm: float
    is_zero: tuple[bool, ...]

    @property
    def is_left_out(self) -> tuple[bool, ...]:
        """Whether each point cannot be a landmark of this mesh."""
        shares = (UNPLACED_SHARE if is_zero else TOO_FAR_SHARE for is_zero in self.is_zero)
        return tuple(mm > share * self.size_mm for mm, share in zip(self.distances_mm, shares, strict=True))

    @property
    def why_left_out(self) -> str | None:
        """The points that cannot be landmarks of this mesh, and the fix; None if there are none."""
        points = zip(self.names, self.is_zero, self.is_left_out, strict=True)
        if zeros := [name for name, is_zero, is_left_out in points if is_zero and is_left_out]:
            return f"{_some(zeros)} at 0, 0, 0, off the mesh: not placed; place it, or remove the object's row"
        if any(self.is_left_out):
            return f"{self._places(self.distances_mm, TOO_FAR_SHARE)}; they belong to another mesh, unit or axes"
        return None

    @property
    def warning(self) -> str | None:
        """The points that are far from the mesh and not left out; None if there are none."""
        kept = (math.nan if gone else mm for mm, gone in zip(self.distances_mm, self.is_left_out, strict=True))
        return self._places(kept, OFF_SHARE) or None

    def _places(self, distances_mm: Iterable[float], share: float) -> str:
        return _some(
            f"{name} is {mm:.3g} mm off the mesh, {100 * mm / self.size_mm:.0f} % of its size"
            for name, mm in zip(self.names, distances_mm, strict=True)
            if mm > share * self.size_mm
        )


def _some(parts: Iterable[str]) -> str:
    first = [*parts]
    more = f" and {len(first) - POINTS_SHOWN} more" if len(first) > POINTS_SHOWN else ""
    return " and ".join(first[:POINTS_SHOWN]) + more


def off_mesh(
    landmarks_mm: NDArray[np.floating],
    vertices_mm: NDArray[np.floating],
    faces: NDArray[np.integer],
    names: Sequence[str] = SIDES,
) -> OffMesh:
    """Return the distances of k landmarks (k, 3), NaN where not labelled, from their mesh.

    A vertex within UNPLACED_SHARE of the size is near enough; the distance from the triangles takes ten times as long
    and is computed only without one.
    """
    size_mm = float(np.linalg.norm(np.ptp(vertices_mm, axis=0)))
    distances_mm = np.full(len(landmarks_mm), np.nan)
    known = np.flatnonzero(np.isfinite(landmarks_mm).all(axis=1))
    distances_mm[known] = _from_vertices(landmarks_mm[known], vertices_mm)
    far = known[distances_mm[known] > UNPLACED_SHARE * size_mm]
    if len(far):
        distances_mm[far] = closest_points(landmarks_mm[far], vertices_mm, faces)[1]
    is_zero = tuple((landmarks_mm == 0).all(axis=1).tolist())
    return OffMesh((*names,), tuple(distances_mm.tolist()), size_mm, is_zero)


def _from_vertices(points: NDArray[np.floating], vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the distances of points from their nearest vertices; a tree pays only for many points."""
    if len(points) > FEW_POINTS:
        return np.asarray(KDTree(vertices).query(points)[0])
    return np.array([np.linalg.norm(vertices - point, axis=1).min() for point in points])


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
        objects: vertices (n, 3) and landmarks (k, 3), NaN where not labelled, of a few objects in one frame and unit.
        read_unit: the unit in which the points were read.
        turn: whether the points may be in Slicer's other axes.
    """
    turns = (False, True) if turn else (False,)
    readings: dict[tuple[str, bool], list[float]] = {(other, turned): [] for turned in turns for other in MM_PER_UNIT}
    for vertices, landmarks in objects:
        known = landmarks[np.isfinite(landmarks).all(axis=1)]
        tree, size = KDTree(vertices), np.linalg.norm(np.ptp(vertices, axis=0))
        for (other, turned), shares in readings.items():
            flip = np.array([-1, -1, 1]) if turned else np.ones(3)
            places = known * flip * (MM_PER_UNIT[other] / MM_PER_UNIT[read_unit])
            shares.extend(tree.query(places)[0] / size)
    medians = {reading: float(np.median(shares or [0.0])) for reading, shares in readings.items()}
    (best_unit, is_turned) = min(medians, key=lambda reading: medians[reading])
    return Placement(medians[read_unit, False], medians[best_unit, is_turned], best_unit, is_turned)
