"""The linear algebra below all methods: points, distances and covariances of n weighted lines.

The squared distance of a point p from the line through o along the unit vector d is |A (p - o)|^2 with the projection
A = I - d d^T. The sum of w A over lines is the normal matrix: how firmly the lines hold the point, by direction.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import Rays
from featurelib.models.fusion.detections import Detections, FusedPoint

Floats = NDArray[np.float64]

MAX_STEPS = 60
TOLERANCE_MM = 1e-7
"""Re-weighting ends when the point moves by less. It halves its distance about every step, also with outliers."""

WITHIN_SIGMAS = 3.03
"""A view counts as used if its ray passes the point within this many sigma: 99 % of an honest view's do
(the square of a distance in two dimensions is chi-squared with two degrees of freedom)."""

LEAST_OWN_SHARE = 0.05
"""Least share of a view's variance that is taken as its own, however large the share that all views have in common."""


def perpendicular_projector(rays: Rays) -> Floats:
    """Return the projections A (n, 3, 3) onto the planes across the lines."""
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

    It trusts its caller that the lines are not parallel: geometry.triangulate is the one that checks.
    """
    projections = np.asarray(weights)[:, None, None] * perpendicular_projector(rays)
    fixed = np.einsum("nij,nj->i", projections, rays.origins_mm)
    return np.asarray(np.linalg.solve(projections.sum(axis=0), fixed), dtype=np.float64)


def covariance_mm2(seen: Detections, weights: ArrayLike) -> Floats:
    """Return the covariance (3, 3) of `least_squares_point` with these weights, if sigma_mm and shared_mm are true.

    With M the normal matrix and s the part of a view's sigma that is its own, errors of their own give
    M^-1 (sum w^2 s^2 A) M^-1, and the part that all views share stays as it is.
    """
    w = np.asarray(weights, dtype=np.float64)
    own = np.maximum(seen.sigma_mm**2 - seen.shared_mm**2, LEAST_OWN_SHARE * seen.sigma_mm**2)
    bread = np.linalg.inv(normal_matrix(seen.rays, w))
    return bread @ normal_matrix(seen.rays, w**2 * own) @ bread + seen.shared_mm**2 * np.eye(3)


def reweighted(seen: Detections, start_mm: Floats, share: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Return the point (3,) and the weights (n,) of iteratively re-weighted least squares.

    Args:
        seen: usable views only.
        start_mm: (3,) where to begin.
        share: what is left of the weight 1 / sigma^2 of lines at these distances (n,), in sigmas.
    """
    point = start_mm
    for _ in range(MAX_STEPS):
        weights = share(distances_mm(seen.rays, point) / seen.sigma_mm) / seen.sigma_mm**2
        last, point = point, least_squares_point(seen.rays, weights)
        if np.linalg.norm(point - last) < TOLERANCE_MM:
            break
    return point, weights


def within_sigmas(seen: Detections, point_mm: Floats) -> NDArray[np.bool_]:
    """Return which (n,) lines pass the point within WITHIN_SIGMAS; the two best where fewer do."""
    away = distances_mm(seen.rays, point_mm) / seen.sigma_mm
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
    """Return the result; `used` (n,) is of the usable views and is spread over all of them."""
    used_of_all = np.zeros_like(detections.usable)
    used_of_all[detections.usable] = used
    rays = Rays(*(part[used_of_all] for part in detections.rays))
    residual_mm = float(np.sqrt(np.mean(distances_mm(rays, xyz_mm) ** 2))) if used.any() else 0.0
    return FusedPoint(xyz_mm, (covariance + covariance.T) / 2, used_of_all, residual_mm, snap_mm, snapped)
