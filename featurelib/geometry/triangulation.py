"""The point nearest to several rays, in the least-squares sense."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError
from featurelib.geometry.cameras import Rays

MIN_ANGLE_DEG = 1.0
"""Rays closer to parallel than this are refused: at 1 degree an error in the image grows 57-fold in depth."""


def triangulate(rays: Rays, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the point (3,) in mm with the least weighted sum of squared distances to n rays (n, 3).

    It solves sum w (I - d d^T) p = sum w (I - d d^T) o for origins o and unit directions d (the closest
    point of skew lines; Hartley and Zisserman, Multiple View Geometry, 2nd edition, section 12.2 names
    it the mid-point method for two rays).

    Args:
        rays: at least two.
        weights: (n,) non-negative; all equal if not given.

    Raises:
        GeometryError: if there are fewer than two rays, they are parallel to within MIN_ANGLE_DEG, or the
            weights are not non-negative numbers with a positive sum.
    """
    num_rays = len(rays.directions)
    if num_rays < 2:
        raise GeometryError(f"{num_rays} rays: triangulation needs at least two")
    w = np.full(num_rays, 1 / num_rays) if weights is None else _shares(weights)
    across = np.eye(3) - rays.directions[:, :, None] * rays.directions[:, None, :]  # (n, 3, 3)
    normal = np.einsum("n,nij->ij", w, across)
    # Two rays at the angle a have the smallest eigenvalue sin^2(a / 2).
    if np.linalg.eigvalsh(normal)[0] < np.sin(np.radians(MIN_ANGLE_DEG / 2)) ** 2:
        raise GeometryError(
            f"the {num_rays} rays are parallel to within {MIN_ANGLE_DEG:g} degree; use views from different angles"
        )
    return np.linalg.solve(normal, np.einsum("n,nij,nj->i", w, across, rays.origins_mm))


def _shares(weights: ArrayLike) -> NDArray[np.float64]:
    w = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise GeometryError(f"weights {w.tolist()}: expected non-negative numbers, not all zero")
    return w / w.sum()
