"""Register a reference shape to an object from several initial rotations: the pose search of `validate` and `align`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.meshes.mesh import Mesh
from featurelib.meshes.registration import Registration, Target, diagonal_mm, register
from featurelib.meshes.shape import RadialExtent, radial_extent
from featurelib.meshes.surface import sample_surface

NUM_POINTS = 400
"""Points of a reference that are registered, in 30 ms per object; 2,000 are no more accurate."""

EXTENT_POINTS = 8192
"""Surface samples for a radial extent: 34 per direction."""

SCALE_LIMITS = (0.5, 2.0)
"""Limits of a registration's scale, relative to the ratio of the two shapes' sizes; outside them it has failed."""


@dataclass(frozen=True, eq=False)
class ReferenceShape:
    """A shape to which objects are compared or oriented, in the object frame.

    points_mm: (NUM_POINTS, 3) of its surface. radii: (NUM_DIRECTIONS,) of its radial extent.
    weights: (NUM_POINTS,) of the points; None if they are equal.
    """

    points_mm: NDArray[np.float64]
    radii: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        """Return the shape of one object with the correct orientation."""
        return cls(sample_surface(mesh.vertices_mm, mesh.faces, NUM_POINTS), extent_of(mesh).radii)

    @property
    def size_mm(self) -> float:
        """The diagonal of the bounding box."""
        return diagonal_mm(self.points_mm)


def extent_of(mesh: Mesh) -> RadialExtent:
    """Return the radial extent of a mesh."""
    return radial_extent(sample_surface(mesh.vertices_mm, mesh.faces, EXTENT_POINTS))


def registrations(
    reference: ReferenceShape,
    target: Target,
    extent: RadialExtent,
    rotations: Iterable[NDArray[np.float64]],
    *,
    unrotated: bool = False,
) -> list[Registration]:
    """Register a reference to an object from several initial rotations; failed registrations are omitted.

    Args:
        reference: the shape that is registered.
        target: the object's surface.
        extent: its radial extent, which gives the initial scale and translation.
        rotations: (3, 3) each, initial rotation of the reference.
        unrotated: start first without a rotation, with the bounding boxes matched.
    """
    centroid_mm = reference.points_mm.mean(axis=0)
    scale = extent.mean_mm / float(np.linalg.norm(reference.points_mm - centroid_mm, axis=1).mean())
    starts: list[Registration | None] = [None] if unrotated else []
    starts += [
        Registration(scale, rotation, extent.centroid_mm - scale * rotation @ centroid_mm, float("inf"))
        for rotation in rotations
    ]
    fits = [register(reference.points_mm, target, reference.weights, start) for start in starts]
    return [fit for fit in fits if SCALE_LIMITS[0] <= fit.scale / scale <= SCALE_LIMITS[1]]
