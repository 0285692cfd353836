"""Linear algebra of all methods: points, distances and covariances of n weighted lines.

The squared distance of a point p from the line through o along the unit vector d is |A (p - o)|^2 with the projection
A = I - d d^T. The sum of w A over lines is the normal matrix: the information on the point, by direction.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import Rays
from featurelib.models.fusion.detections import Detections, FusedPoint

Floats = NDArray[np.float64]

MAX_STEPS = 60
TOLERANCE_MM = 1e-7
"""Reweighting ends when the point moves by less. Each step about halves the remaining distance, also with outliers."""

WITHIN_SIGMAS = 3.03
"""A view counts as used if its ray passes the point within this many sigma, as 99 % of inliers do (chi-squared with two
degrees of freedom)."""

LEAST_OWN_SHARE = 0.05
"""Minimum share of a view's variance that is treated as independent of the other views."""


def perpendicular_projector(rays: Rays) -> Floats:
    """Return the projections A (n, 3, 3) onto the planes perpendicular to the lines."""
    directions = rays.directions
    return np.asarray(np.eye(3) - directions[:, :, None] * directions[:, None, :])


def distances_mm(rays: Rays, points_mm: ArrayLike) -> Floats:
    """Return the distances (..., n) of points (..., 3) from the lines."""
    offsets = np.asarray(points_mm)[..., None, :] - rays.origins_mm
    return np.asarray(np.linalg.norm(np.cross(offsets, rays.directions), axis=-1))


def normal_matrix(rays: Rays, weights: ArrayLike) -> Floats:
    """Return the sum (3, 3) of w A."""
    return np.asarray((np.asarray(weights)[:, None, None] * perpendicular_projector(rays)).sum(axis=0))


def least_squares_point(rays: Rays, weights: ArrayLike) -> Floats:
    """Return the point (3,) with the least weighted sum of squared distances.

    The caller ensures that the lines are not parallel, for instance with geometry.triangulate.
    """
    projections = np.asarray(weights)[:, None, None] * perpendicular_projector(rays)
    fixed = np.einsum("nij,nj->i", projections, rays.origins_mm)
    return np.asarray(np.linalg.solve(projections.sum(axis=0), fixed), dtype=np.float64)


def covariance_mm2(views: Detections, weights: ArrayLike) -> Floats:
    """Return the covariance (3, 3) of `least_squares_point` with these weights, given sigma_mm and shared_mm.

    With M the normal matrix and s the independent part of a view's sigma, independent errors contribute
    M^-1 (sum w^2 s^2 A) M^-1; the shared part is added unchanged.
    """
    w = np.asarray(weights, dtype=np.float64)
    own = np.maximum(views.sigma_mm**2 - views.shared_mm**2, LEAST_OWN_SHARE * views.sigma_mm**2)
    bread = np.linalg.inv(normal_matrix(views.rays, w))
    return bread @ normal_matrix(views.rays, w**2 * own) @ bread + views.shared_mm**2 * np.eye(3)


def reweighted(views: Detections, start_mm: Floats, share: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Return the point (3,) and the weights (n,) of iteratively reweighted least squares.

    Args:
        views: detections in usable views only.
        start_mm: (3,) initial point.
        share: factor of the weight 1 / sigma^2, for distances (n,) in sigmas.
    """
    point = start_mm
    for _ in range(MAX_STEPS):
        weights = share(distances_mm(views.rays, point) / views.sigma_mm) / views.sigma_mm**2
        last, point = point, least_squares_point(views.rays, weights)
        if np.linalg.norm(point - last) < TOLERANCE_MM:
            break
    return point, weights


def within_sigmas(views: Detections, point_mm: Floats) -> NDArray[np.bool_]:
    """Return the mask (n,) of lines that pass the point within WITHIN_SIGMAS; at least the two closest."""
    away = distances_mm(views.rays, point_mm) / views.sigma_mm
    return np.asarray(away <= max(WITHIN_SIGMAS, np.sort(away)[:2][-1]))


def fused(
    detections: Detections,
    xyz_mm: Floats,
    covariance: Floats,
    used: NDArray[np.bool_],
    *,
    snap_mm: float | None = None,
    snapped: bool = False,
) -> FusedPoint:
    """Return the result; `used` (n,) is a mask of the usable views and is expanded to all views."""
    used_of_all = np.zeros_like(detections.usable)
    used_of_all[detections.usable] = used
    rays = Rays(*(part[used_of_all] for part in detections.rays))
    residual_mm = float(np.sqrt(np.mean(distances_mm(rays, xyz_mm) ** 2))) if used.any() else 0.0
    return FusedPoint(xyz_mm, (covariance + covariance.T) / 2, used_of_all, residual_mm, snap_mm, snapped)
