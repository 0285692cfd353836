"""First intersections of rays with a triangle mesh."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featurelib.errors import GeometryError
from featurelib.geometry import Rays
from featurelib.models.fusion.detections import Surface

EDGE = 1e-9
"""Tolerance in barycentric coordinates, so that no ray passes between two adjacent triangles."""


def first_hits(rays: Rays, surface: Surface) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance along each ray to its first intersection with the surface, and the face hit.

    Faces are hit from both sides.

    Args:
        rays: origins and unit directions (n, 3).
        surface: in the frame of the rays.

    Returns:
        distances (n,) in mm, infinite where the ray misses, and faces (n,), -1 where it misses.

    Raises:
        GeometryError: if the surface has no faces, or a vertex of a face is not finite.
    """
    faces = np.asarray(surface.faces, dtype=np.int64).reshape(-1, 3)
    triangles = np.asarray(surface.vertices_mm, dtype=np.float64)[faces]
    if not len(triangles):
        raise GeometryError("mesh without faces; expected at least one")
    if not np.isfinite(triangles).all():
        raise GeometryError("mesh with a vertex that is not finite; expected three finite numbers")
    origins, directions = (np.ascontiguousarray(part, dtype=np.float64) for part in rays)
    found: tuple[NDArray[np.float64], NDArray[np.int64]] = _first_hits(origins, directions, triangles, EDGE)
    return found


@njit(cache=True, error_model="numpy")
def _first_hits(
    origins: NDArray[np.float64], directions: NDArray[np.float64], triangles: NDArray[np.float64], edge: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the result of `first_hits` for triangles (m, 3, 3).

    A ray whose distance from a corner exceeds the longer of the two edges there cannot hit the triangle. The few others
    are tested as in Moeller and Trumbore, Fast, Minimum Storage Ray/Triangle Intersection, Journal of Graphics Tools
    2(1), 1997.
    """
    nearest, hit = np.full(len(origins), np.inf), np.full(len(origins), -1)
    for face in range(len(triangles)):
        ax, ay, az = triangles[face, 0, 0], triangles[face, 0, 1], triangles[face, 0, 2]
        ux, uy, uz = triangles[face, 1, 0] - ax, triangles[face, 1, 1] - ay, triangles[face, 1, 2] - az
        vx, vy, vz = triangles[face, 2, 0] - ax, triangles[face, 2, 1] - ay, triangles[face, 2, 2] - az
        reach = max(ux * ux + uy * uy + uz * uz, vx * vx + vy * vy + vz * vz) * (1 + 1e-6)
        for ray in range(len(origins)):
            dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
            sx, sy, sz = origins[ray, 0] - ax, origins[ray, 1] - ay, origins[ray, 2] - az
            px, py, pz = sy * dz - sz * dy, sz * dx - sx * dz, sx * dy - sy * dx  # s x d
            if px * px + py * py + pz * pz > reach:
                continue
            volume = -(dx * (uy * vz - uz * vy) + dy * (uz * vx - ux * vz) + dz * (ux * vy - uy * vx))
            if volume == 0:
                continue
            along_u = (px * vx + py * vy + pz * vz) / volume
            along_v = -(px * ux + py * uy + pz * uz) / volume
            if along_u < -edge or along_v < -edge or along_u + along_v > 1 + edge:
                continue
            away = (sx * (uy * vz - uz * vy) + sy * (uz * vx - ux * vz) + sz * (ux * vy - uy * vx)) / volume
            if 0 <= away < nearest[ray]:
                nearest[ray], hit[ray] = away, face
    return nearest, hit
