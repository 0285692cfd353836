"""The object and its mirror image, as the networks see them: a landmark and its mirror image share a channel.

A right landmark is found as the left one of the mirrored mesh, so a network has a map for each pair, not for each of
its landmarks. A midline landmark is found in both.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import LandmarkSet, canonical, mirror_permutation
from featurelib.meshes import Mesh

FLIPS = np.array([[1.0, 1, 1], [-1, 1, 1]])
"""Factors of the coordinates of each side."""


class Sides(NamedTuple):
    """Which landmark each of c channels shows, by side.

    landmark: (m, c) indices for m sides: the mesh and, if m = 2, its mirror image in the plane x = 0. -1 if a side has
    no such landmark.
    """

    landmark: NDArray[np.intp]

    @property
    def num_channels(self) -> int:
        """The number c of channels."""
        return self.landmark.shape[1]

    @property
    def first(self) -> NDArray[np.bool_]:
        """(m, c) whether the landmark of a channel is on no earlier side; False without a landmark."""
        seen = np.array([np.isin(row, self.landmark[:side]) for side, row in enumerate(self.landmark)])
        return ~seen & (self.landmark >= 0)

    def meshes(self, mesh: Mesh) -> tuple[Mesh, ...]:
        """Return the mesh of each side."""
        return (mesh, mesh.mirrored())[: len(self.landmark)]

    def points_mm(self, landmarks_mm: ArrayLike) -> NDArray[np.float64]:
        """Return the points (m, ..., c, 3) of the channels on each side for landmarks (..., k, 3); NaN without one."""
        landmarks_mm = np.asarray(landmarks_mm, dtype=np.float64)
        points = [landmarks_mm[..., row, :] * flip for row, flip in zip(self.landmark, FLIPS, strict=False)]
        return np.where((self.landmark < 0).reshape(self._shape(landmarks_mm.ndim - 2)), np.nan, np.array(points))

    def flags(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Return the flags (m, c) of the channels on each side for flags (k,); False without a landmark."""
        return np.asarray(values)[self.landmark] & (self.landmark >= 0)

    def _shape(self, between: int) -> tuple[int, ...]:
        return (len(self.landmark), *(1,) * between, self.num_channels, 1)


def training_sides(landmarks: LandmarkSet) -> Sides:
    """Return the sides of an object in training: the mesh, and its mirror image if that is an object of this kind."""
    return Sides(_by_side(landmarks))


def refined_sides(landmarks: LandmarkSet) -> Sides:
    """Return the sides in which landmarks are refined: without the mirror image if that has no channel of its own."""
    return Sides(_by_side(landmarks)[: 2 if canonical(landmarks).is_mirrored.any() else 1])


def _by_side(landmarks: LandmarkSet) -> NDArray[np.intp]:
    """Return the landmark of each channel (m, c) in the mesh and, if the kind has one, in its mirror image."""
    channels, permutation = canonical(landmarks), mirror_permutation(landmarks)
    own = np.flatnonzero(~channels.is_mirrored)
    members = np.empty(channels.num_channels, np.intp)
    members[channels.channel[own]] = own
    return members[None] if permutation is None else np.array([members, permutation[members]])
