"""A published method for comparison, implemented from its description.

Paulsen, Juhl, Haspang, Hansen, Ganz and Einarsson, Multi-view Consensus CNN for 3D Facial Landmark Placement, ACCV
2018 (arXiv:1910.06007): the heights of the heatmaps select views, a random sample consensus over their rays finds a
point, and the result is the closest point of the surface. The threshold and the number of draws are ours.
"""

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import Rays
from featurelib.meshes.surface import closest_points
from featurelib.models.fusion.consensus import INLIER_SIGMAS
from featurelib.models.fusion.detections import Detections, FusedPoints
from featurelib.models.fusion.lines import (
    Floats,
    covariance_mm2,
    distances_mm,
    fused,
    least_squares_point,
    perpendicular_projector,
)
from featurelib.models.fusion.snapping import face_normals, on_plane

DRAWS = 200
"""Maximum number of triples of rays that are evaluated; all triples of up to 11 rays."""

SEED = 0

MIN_EIGENVALUE = 1e-4
"""Minimum of the least eigenvalue of a triple's normal matrix; below it the rays are parallel to about a degree."""


def deep_mvlm(views: Detections) -> FusedPoints:
    """Return the consensus points of the better half of the views, moved to the nearest points of the surface.

    The better half has at least the median visibility. Three rays propose a point. The largest set of rays within
    INLIER_SIGMAS of a proposal determines the point by least squares.
    """
    assert views.surface is not None  # checked by fuse
    vertices_mm, faces = np.asarray(views.surface.vertices_mm), np.asarray(views.surface.faces)
    used = np.zeros_like(views.usable)
    for i, usable in enumerate(views.usable):
        own = _usable_of(views, i)
        used[i, usable] = _largest_agreement(own, _better_half(own))
    weights = used.astype(np.float64)
    points_mm = least_squares_point(views.rays, weights)
    xyz_mm, snap_mm, on_faces = closest_points(points_mm, vertices_mm, faces)
    covariance = on_plane(covariance_mm2(views, weights), np.eye(3), face_normals(views.surface, on_faces))
    return fused(views, xyz_mm, covariance, used, snap_mm=snap_mm, snapped=np.ones(len(used), dtype=bool))


def _usable_of(views: Detections, i: int) -> Detections:
    """Return the usable views (n,) of one of the landmarks."""
    keep = views.usable[i]
    visibility = None if views.visibility is None else views.visibility[i, keep]
    return Detections(Rays(*(part[i, keep] for part in views.rays)), keep[keep], views.sigma_mm[i, keep], visibility)


def _better_half(views: Detections) -> NDArray[np.bool_]:
    """Return the mask (n,) of views with at least the median visibility; all if their rays are nearly parallel."""
    scores = np.ones(len(views.usable)) if views.visibility is None else views.visibility
    better = np.asarray(scores >= np.median(scores))
    return better if better.sum() >= 3 and _is_firm(views.rays, better) else views.usable


def _largest_agreement(views: Detections, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask (n,) of rays that agree with the best triple; all candidates if all triples are nearly parallel.

    The best triple has the most agreeing rays; ties go to the smaller sum of squared distances.
    """
    index = np.flatnonzero(candidates)
    triples = index[_triples(len(index))] if len(index) >= 3 else np.empty((0, 3), dtype=int)
    projections = perpendicular_projector(views.rays)
    normals = projections[triples].sum(axis=1)
    firm = np.linalg.eigvalsh(normals)[:, 0] > MIN_EIGENVALUE if len(triples) else np.zeros(0, dtype=bool)
    if not firm.any():
        return candidates
    fixed = np.einsum("nij,nj->ni", projections, views.rays.origins_mm)[triples[firm]].sum(axis=1)
    proposals_mm = np.linalg.solve(normals[firm], fixed[..., None])[..., 0]
    away: Floats = distances_mm(views.rays, proposals_mm) / views.sigma_mm
    agree = (away <= INLIER_SIGMAS) & candidates
    costs = (np.minimum(away, INLIER_SIGMAS) ** 2 * candidates).sum(axis=1)
    best = np.lexsort((costs, -agree.sum(axis=1)))[0]
    chosen = agree[best]
    return chosen if chosen.sum() >= 2 and _is_firm(views.rays, chosen) else candidates


def _triples(count: int) -> NDArray[np.int64]:
    """Return at most DRAWS triples (n, 3) of the numbers below `count`."""
    if comb(count, 3) <= DRAWS:
        return np.array(list(combinations(range(count), 3)))
    random = np.random.default_rng(SEED)
    return np.sort(random.random((DRAWS, count)).argsort(axis=1)[:, :3], axis=1)


def _is_firm(rays: Rays, chosen: NDArray[np.bool_]) -> bool:
    normal = perpendicular_projector(Rays(*(part[chosen] for part in rays))).mean(axis=0)
    return bool(np.linalg.eigvalsh(normal)[0] > MIN_EIGENVALUE)
