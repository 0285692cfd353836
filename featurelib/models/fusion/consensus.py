"""Methods that are robust to outliers: a vote of the views, then iteratively reweighted least squares."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import triangulate
from featurelib.models.fusion.detections import Detections, FusedPoint
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


def consensus(detections: Detections) -> FusedPoint:
    """Return the point on which most views agree.

    Each pair of views proposes the point nearest to both rays. The cost of a proposal is the sum over views of
    min(u^2, INLIER_SIGMAS^2), with u the distance in sigmas (MSAC: Torr and Zisserman, MLESAC, Computer Vision and
    Image Understanding 78(1), 2000, section 4). All pairs are evaluated, so the method is deterministic. The inliers of
    the best proposal then determine the point with Huber's weights. The covariance ignores the selection of views:
    repeated detections have 1.2 times the claimed variance (1.05 for `robust`).

    Raises:
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    views = detections.only_usable()
    triangulate(views.rays)  # rejects parallel rays
    xyz_mm, pair = vote(views)
    agree = np.zeros_like(pair)
    for threshold in THRESHOLDS:
        last, agree = agree, pair | (distances_mm(views.rays, xyz_mm) <= threshold * INLIER_SIGMAS * views.sigma_mm)
        if (agree == last).all() and threshold == 1:
            break
        xyz_mm, weights = reweighted(views, xyz_mm, partial(_huber, agree))
    return fused(detections, xyz_mm, covariance_mm2(views, weights), agree)


def _huber(agree: NDArray[np.bool_], away_sigmas: Floats) -> Floats:
    return np.asarray(agree / np.maximum(1.0, away_sigmas / HUBER_SIGMAS))


def robust(detections: Detections) -> FusedPoint:
    """Return the point of `weighted` with Cauchy's weights, which fall with a ray's distance but never to zero.

    The iteration starts from the vote. From the least-squares point, one gross outlier could determine the result.

    Raises:
        GeometryError: as consensus.
    """
    views, xyz_mm, weights = robust_point(detections)
    return fused(detections, xyz_mm, covariance_mm2(views, weights), within_sigmas(views, xyz_mm))


def robust_point(detections: Detections) -> tuple[Detections, Floats, Floats]:
    """Return the usable views, the point (3,) of `robust`, and its weights (n,)."""
    views = detections.only_usable()
    triangulate(views.rays)  # rejects parallel rays
    start_mm, _ = vote(views)
    return views, *reweighted(views, start_mm, lambda u: 1 / (1 + (u / CAUCHY_SIGMAS) ** 2))


def vote(views: Detections) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the proposal (3,) with the least cost, and the mask (n,) of the two views that propose it."""
    first, second = np.triu_indices(len(views.usable), 1)
    parallel = np.einsum("ni,ni->n", views.rays.directions[first], views.rays.directions[second]) ** 2
    wide = parallel <= max(np.cos(np.radians(PAIR_DEG)) ** 2, parallel.min())
    first, second = first[wide], second[wide]
    projections = perpendicular_projector(views.rays)
    fixed = np.einsum("nij,nj->ni", projections, views.rays.origins_mm)
    proposals = np.linalg.solve(projections[first] + projections[second], (fixed[first] + fixed[second])[..., None])
    proposals_mm = proposals[..., 0]
    away = distances_mm(views.rays, proposals_mm) / views.sigma_mm  # (pairs, n)
    best = (np.minimum(away, INLIER_SIGMAS) ** 2).sum(axis=1).argmin()
    return proposals_mm[best], np.isin(np.arange(len(views.usable)), [first[best], second[best]])
