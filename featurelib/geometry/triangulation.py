"""Triangulation: the least-squares intersection of several rays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError
from featurelib.geometry.cameras import Rays

MIN_ANGLE_DEG = 1.0
"""Smallest angle between rays: at 1 degree an error in the image is 57 times as large in depth."""


def triangulate(rays: Rays, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the point (3,) in mm with the smallest weighted sum of squared distances to n rays.

    It solves sum w (I - d d^T) p = sum w (I - d d^T) o for origins o and unit directions d. For two rays this is the
    mid-point method (Hartley and Zisserman, Multiple View Geometry, 2nd edition, section 12.2).

    Args:
        rays: at least two.
        weights: (n,) non-negative; equal if not given.

    Raises:
        GeometryError: if there are fewer than two rays, they are parallel to within MIN_ANGLE_DEG, a weight is
            negative or not finite, or all weights are zero.
    """
    num_rays = len(rays.directions)
    if num_rays < 2:
        raise GeometryError(f"{num_rays} rays; triangulation needs at least two")
    w = np.full(num_rays, 1 / num_rays) if weights is None else _shares(weights)
    perpendicular = np.eye(3) - rays.directions[:, :, None] * rays.directions[:, None, :]  # (n, 3, 3) projectors
    normal = np.einsum("n,nij->ij", w, perpendicular)
    # The smallest eigenvalue for two rays at the angle a is sin^2(a / 2).
    if np.linalg.eigvalsh(normal)[0] < np.sin(np.radians(MIN_ANGLE_DEG / 2)) ** 2:
        raise GeometryError(
            f"the {num_rays} rays are parallel to within {MIN_ANGLE_DEG:g} degree; use views from different angles"
        )
    return np.linalg.solve(normal, np.einsum("n,nij,nj->i", w, perpendicular, rays.origins_mm))


def _shares(weights: ArrayLike) -> NDArray[np.float64]:
    w = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise GeometryError(f"weights {w.tolist()}: expected non-negative numbers, not all zero")
    return w / w.sum()
