"""Linear algebra of all methods: points, distances and covariances of v weighted lines, for each of m landmarks.

The squared distance of a point p from the line through o along the unit vector d is |A (p - o)|^2 with the projection
A = I - d d^T. The sum of w A over lines is the normal matrix: the information on the point, by direction.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import Rays
from featurelib.geometry.triangulation import MIN_ANGLE_DEG
from featurelib.models.fusion.detections import Detections, FusedPoints

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
    """Return the projections A (..., 3, 3) onto the planes perpendicular to the lines (..., 3)."""
    directions = rays.directions
    return np.asarray(np.eye(3) - directions[..., :, None] * directions[..., None, :])


def distances_mm(rays: Rays, points_mm: ArrayLike) -> Floats:
    """Return the distances (..., v) of points (..., 3) from lines (..., v, 3)."""
    offsets = np.asarray(points_mm)[..., None, :] - rays.origins_mm
    along = (offsets * rays.directions).sum(axis=-1, keepdims=True)
    return np.asarray(np.linalg.norm(offsets - along * rays.directions, axis=-1))


def normal_matrix(rays: Rays, weights: ArrayLike) -> Floats:
    """Return the sum (..., 3, 3) of w A over lines (..., v, 3) with weights (..., v)."""
    return np.asarray((np.asarray(weights)[..., None, None] * perpendicular_projector(rays)).sum(axis=-3))


def determine_a_point(rays: Rays, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask (...) of landmarks with at least two usable lines (..., v, 3) that are not all parallel.

    Parallel means to within the angle that `geometry.triangulate` rejects.
    """
    filled = Rays(rays.origins_mm, np.where(usable[..., None], rays.directions, 0.0))
    count = usable.sum(axis=-1)
    mean = normal_matrix(filled, usable / np.maximum(count, 1)[..., None])
    # The smallest eigenvalue for two rays at the angle a is sin^2(a / 2).
    return np.asarray((count >= 2) & (np.linalg.eigvalsh(mean)[..., 0] >= np.sin(np.radians(MIN_ANGLE_DEG / 2)) ** 2))


def least_squares_point(rays: Rays, weights: ArrayLike) -> Floats:
    """Return the points (..., 3) with the least weighted sum of squared distances from lines (..., v, 3).

    The caller ensures that the lines are not parallel, for instance with `determine_a_point`.
    """
    projections = np.asarray(weights)[..., None, None] * perpendicular_projector(rays)
    fixed = np.einsum("...nij,...nj->...i", projections, rays.origins_mm)
    return np.asarray(np.linalg.solve(projections.sum(axis=-3), fixed[..., None])[..., 0], dtype=np.float64)


def covariance_mm2(views: Detections, weights: ArrayLike) -> Floats:
    """Return the covariances (m, 3, 3) of `least_squares_point` with weights (m, v), given sigma_mm and shared_mm.

    With M the normal matrix and s the independent part of a view's sigma, independent errors contribute
    M^-1 (sum w^2 s^2 A) M^-1; the shared part is added unchanged.
    """
    w, shared = np.asarray(weights, dtype=np.float64), np.asarray(views.shared_mm)[..., None] ** 2
    own = np.maximum(views.sigma_mm**2 - shared, LEAST_OWN_SHARE * views.sigma_mm**2)
    bread = np.linalg.inv(normal_matrix(views.rays, w))
    return np.asarray(bread @ normal_matrix(views.rays, w**2 * own) @ bread + shared[..., None] * np.eye(3))


def reweighted(views: Detections, start_mm: Floats, share: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Return the points (m, 3) and the weights (m, v) of iteratively reweighted least squares.

    Args:
        views: the detections (m, v).
        start_mm: (m, 3) initial points.
        share: factor of the weight 1 / sigma^2, for distances (m, v) in sigmas.
    """
    points = start_mm
    for _ in range(MAX_STEPS):
        away = distances_mm(views.rays, points) / views.sigma_mm
        weights = views.usable * share(away) / views.sigma_mm**2
        last, points = points, least_squares_point(views.rays, weights)
        if (np.linalg.norm(points - last, axis=-1) < TOLERANCE_MM).all():
            break
    return points, weights


def within_sigmas(views: Detections, points_mm: Floats) -> NDArray[np.bool_]:
    """Return the mask (m, v) of lines that pass the points within WITHIN_SIGMAS; at least the two closest."""
    away = np.where(views.usable, distances_mm(views.rays, points_mm) / views.sigma_mm, np.inf)
    limit = np.maximum(WITHIN_SIGMAS, np.sort(away, axis=-1)[..., :2].max(axis=-1))
    return np.asarray(views.usable & (away <= limit[..., None]))


def fused(
    views: Detections,
    xyz_mm: Floats,
    covariance: Floats,
    used: NDArray[np.bool_],
    *,
    snap_mm: Floats | None = None,
    snapped: NDArray[np.bool_] | None = None,
) -> FusedPoints:
    """Return the result for points (m, 3), covariances (m, 3, 3) and masks (m, v) of the views used."""
    squared = (used * distances_mm(views.rays, xyz_mm) ** 2).sum(axis=-1)
    residual_mm = np.sqrt(squared / np.maximum(used.sum(axis=-1), 1))
    is_snapped = np.zeros(len(xyz_mm), dtype=bool) if snapped is None else snapped
    return FusedPoints(xyz_mm, (covariance + covariance.swapaxes(-1, -2)) / 2, used, residual_mm, snap_mm, is_snapped)
