"""Methods that are robust to outliers: a vote of the views, then iteratively reweighted least squares."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import Rays
from featurelib.models.fusion.detections import Detections, FusedPoints
from featurelib.models.fusion.lines import (
    Floats,
    covariance_mm2,
    distances_mm,
    fused,
    perpendicular_projector,
    reweighted,
    within_sigmas,
)

INLIER_SIGMAS = 2.45
"""95 % of inlier rays pass the true point within this many sigma (chi-squared with two degrees of freedom)."""

HUBER_SIGMAS, CAUCHY_SIGMAS = 1.50, 2.55
"""Tuning constants of Huber's and Cauchy's weights, in sigmas, for 95 % efficiency: without outliers, the variance is
5 % larger than that of least squares. The usual 1.345 and 2.385 are for errors along a line; these are the solutions
for errors in a plane."""

THRESHOLDS = (2.0, 1.0, 1.0, 1.0, 1.0)
"""Inlier thresholds of the rounds, in units of INLIER_SIGMAS. The first is double, since the winner of the vote depends
on two noisy views: without that round, views that are close to it by chance increase the variance by 30 %."""

PAIR_DEG = 10.0
"""Pairs of rays with a smaller angle propose no point, if other pairs can: their error in depth is six-fold."""


def consensus(views: Detections) -> FusedPoints:
    """Return the points on which most views agree.

    Each pair of views proposes the point nearest to both rays. The cost of a proposal is the sum over views of
    min(u^2, INLIER_SIGMAS^2), with u the distance in sigmas (MSAC: Torr and Zisserman, MLESAC, Computer Vision and
    Image Understanding 78(1), 2000, section 4). All pairs are evaluated, so the method is deterministic. The inliers of
    the best proposal then determine the point with Huber's weights. The covariance ignores the selection of views:
    repeated detections have 1.2 times the claimed variance (1.05 for `robust`).
    """
    xyz_mm, pair = vote(views)
    agree = np.zeros_like(pair)
    for threshold in THRESHOLDS:
        near = distances_mm(views.rays, xyz_mm) <= threshold * INLIER_SIGMAS * views.sigma_mm
        last, agree = agree, pair | (near & views.usable)
        if (agree == last).all() and threshold == 1:
            break
        xyz_mm, weights = reweighted(views, xyz_mm, partial(_huber, agree))
    return fused(views, xyz_mm, covariance_mm2(views, weights), agree)


def _huber(agree: NDArray[np.bool_], away_sigmas: Floats) -> Floats:
    return np.asarray(agree / np.maximum(1.0, away_sigmas / HUBER_SIGMAS))


def robust(views: Detections) -> FusedPoints:
    """Return the points of `weighted` with Cauchy's weights, which fall with a ray's distance but never to zero.

    The iteration starts from the vote. From the least-squares point, one gross outlier could determine the result.
    """
    xyz_mm, weights = robust_points(views)
    return fused(views, xyz_mm, covariance_mm2(views, weights), within_sigmas(views, xyz_mm))


def robust_points(views: Detections) -> tuple[Floats, Floats]:
    """Return the points (m, 3) of `robust`, and their weights (m, v)."""
    start_mm, _ = vote(views)
    return reweighted(views, start_mm, lambda u: 1 / (1 + (u / CAUCHY_SIGMAS) ** 2))


def vote(views: Detections) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the proposals (m, 3) with the least costs, and the masks (m, v) of the two views that propose them."""
    rays, (num_points, num_views) = views.rays, views.usable.shape
    first, second = np.triu_indices(num_views, 1)
    parallel = np.einsum("mni,mni->mn", rays.directions[:, first], rays.directions[:, second]) ** 2
    parallel[~(views.usable[:, first] & views.usable[:, second])] = np.inf
    wide = parallel <= np.maximum(np.cos(np.radians(PAIR_DEG)) ** 2, parallel.min(axis=1, keepdims=True))
    projections = perpendicular_projector(rays)
    fixed = np.einsum("mnij,mnj->mni", projections, rays.origins_mm)
    normals = np.where(wide[..., None, None], projections[:, first] + projections[:, second], np.eye(3))
    proposals_mm = np.linalg.solve(normals, (fixed[:, first] + fixed[:, second])[..., None])[..., 0]
    away = distances_mm(Rays(*(part[:, None] for part in rays)), proposals_mm) / views.sigma_mm[:, None]  # (m, p, v)
    costs = (np.minimum(away, INLIER_SIGMAS) ** 2 * views.usable[:, None]).sum(axis=2)
    best = np.where(wide, costs, np.inf).argmin(axis=1)
    numbers = np.arange(num_views)
    pair = (numbers == first[best][:, None]) | (numbers == second[best][:, None])
    return proposals_mm[np.arange(num_points), best], pair
