"""Methods that no single view can corrupt: a vote of the views, and re-weighting from there."""

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
"""95 % of an honest view's rays pass the true point within this many sigma (chi-squared, two degrees of freedom)."""

HUBER_SIGMAS, CAUCHY_SIGMAS = 1.50, 2.55
"""Where the weights begin to fall: 5 % more variance than least squares if no view is an outlier. The usual 1.345
and 2.385 are for errors along a line; these solve the same equation for errors in a plane."""

REACHES = (2.0, 1.0, 1.0, 1.0, 1.0)
"""Who agrees is asked in rounds, first within twice INLIER_SIGMAS: the winner of the vote rests on two noisy views,
and those that are near to it by chance would keep it there (30 % more variance without that first round)."""

PAIR_DEG = 10.0
"""Rays closer to parallel than this propose no point, if others can: their error in depth is six-fold."""


def consensus(detections: Detections) -> FusedPoint:
    """Return the point on which most views agree.

    Every pair of views proposes the point nearest to both rays; all views vote with min(u^2, INLIER_SIGMAS^2), u
    their distance in sigmas (MSAC: Torr and Zisserman, MLESAC, Computer Vision and Image Understanding 78(1), 2000,
    section 4). All pairs are tried, so nothing is drawn. Views within INLIER_SIGMAS of the winner then decide with
    Huber's weights. Its covariance takes the choice of views for granted: repeated detections scatter with 1.2 times
    the claimed variance (that of `robust` is right to 1.05).

    Raises:
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    seen = detections.seen()
    triangulate(seen.rays)  # refuses parallel rays
    xyz_mm, pair = vote(seen)
    agree = np.zeros_like(pair)
    for reach in REACHES:
        last, agree = agree, pair | (distances_mm(seen.rays, xyz_mm) <= reach * INLIER_SIGMAS * seen.sigma_mm)
        if (agree == last).all() and reach == 1:
            break
        xyz_mm, weights = reweighted(seen, xyz_mm, partial(_huber, agree))
    return fused(detections, xyz_mm, covariance_mm2(seen, weights), agree)


def _huber(agree: NDArray[np.bool_], away_sigmas: Floats) -> Floats:
    return np.asarray(agree / np.maximum(1.0, away_sigmas / HUBER_SIGMAS))


def robust(detections: Detections) -> FusedPoint:
    """Return `weighted` with Cauchy's weights: a view's say falls with its distance and is never quite lost.

    It starts from the views' vote, since from the least-squares point one gross outlier can hold it.

    Raises:
        GeometryError: as consensus.
    """
    seen, xyz_mm, weights = robust_point(detections)
    return fused(detections, xyz_mm, covariance_mm2(seen, weights), within_sigmas(seen, xyz_mm))


def robust_point(detections: Detections) -> tuple[Detections, Floats, Floats]:
    """Return the usable views, the point (3,) of `robust` and its weights (n,)."""
    seen = detections.seen()
    triangulate(seen.rays)  # refuses parallel rays
    start_mm, _ = vote(seen)
    return seen, *reweighted(seen, start_mm, lambda u: 1 / (1 + (u / CAUCHY_SIGMAS) ** 2))


def vote(seen: Detections) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the proposal (3,) that the usable views vote for, and the pair (n,) whose proposal it is."""
    first, second = np.triu_indices(len(seen.usable), 1)
    parallel = np.einsum("ni,ni->n", seen.rays.directions[first], seen.rays.directions[second]) ** 2
    wide = parallel <= max(np.cos(np.radians(PAIR_DEG)) ** 2, parallel.min())
    first, second = first[wide], second[wide]
    projections = perpendicular_projector(seen.rays)
    fixed = np.einsum("nij,nj->ni", projections, seen.rays.origins_mm)
    proposals = np.linalg.solve(projections[first] + projections[second], (fixed[first] + fixed[second])[..., None])
    proposals_mm = proposals[..., 0]
    away = distances_mm(seen.rays, proposals_mm) / seen.sigma_mm  # (pairs, n)
    best = (np.minimum(away, INLIER_SIGMAS) ** 2).sum(axis=1).argmin()
    return proposals_mm[best], np.isin(np.arange(len(seen.usable)), [first[best], second[best]])
