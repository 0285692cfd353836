"""A published recipe, written anew from its description, to compare with.

Paulsen, Juhl, Haspang, Hansen, Ganz and Einarsson, Multi-view Consensus CNN for 3D Facial Landmark Placement, ACCV
2018 (arXiv:1910.06007): views are chosen by the height of their heat maps, a random sample consensus over the rays
finds the point, and the nearest point of the surface is the answer. The threshold and the number of draws are ours.
"""

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import UsageError
from featurelib.geometry import Rays, triangulate
from featurelib.meshes.surface import closest_points
from featurelib.models.fusion.consensus import INLIER_SIGMAS
from featurelib.models.fusion.detections import Detections, FusedPoint
from featurelib.models.fusion.lines import (
    Floats,
    covariance_mm2,
    distances_mm,
    fused,
    least_squares_point,
    perpendicular_projector,
)
from featurelib.models.fusion.snapping import on_plane

DRAWS = 200
"""Triples of rays that are tried; all of them, where there are no more (up to 11 rays)."""

SEED = 0

MIN_EIGENVALUE = 1e-4
"""Triples of rays whose normal matrix has a smaller one are parallel to about a degree; they are passed over."""


def deep_mvlm(detections: Detections) -> FusedPoint:
    """Return the consensus point of the better half of the views, moved to the nearest point of the surface.

    The better half has at least the median visibility. Three rays propose a point, the rays within INLIER_SIGMAS
    agree, and the largest set of agreeing rays decides by least squares.

    Raises:
        UsageError: if the detections have no surface.
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    if detections.surface is None:
        raise UsageError("fusion deep_mvlm: needs the object's mesh; use robust where there is none")
    seen = detections.seen()
    triangulate(seen.rays)  # refuses parallel rays
    weights = _largest_agreement(seen, _better_half(seen)).astype(np.float64)
    meeting_mm = least_squares_point(seen.rays, weights)
    (xyz_mm,), (snap_mm,), (face,) = closest_points(
        meeting_mm[None], detections.surface.vertices_mm, detections.surface.faces
    )
    corners = np.asarray(detections.surface.vertices_mm, dtype=np.float64)[detections.surface.faces[face]]
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    length = np.linalg.norm(normal)
    covariance = on_plane(covariance_mm2(seen, weights), np.eye(3), normal / length if length > 0 else 0 * normal)
    return fused(detections, xyz_mm, covariance, weights > 0, snap_mm=float(snap_mm), snapped=True)


def _better_half(seen: Detections) -> NDArray[np.bool_]:
    """Return the views with at least the median visibility, or all where those alone fix no point."""
    scores = np.ones(len(seen.usable)) if seen.visibility is None else seen.visibility
    better = np.asarray(scores >= np.median(scores))
    return better if better.sum() >= 3 and _is_firm(seen.rays, better) else seen.usable


def _largest_agreement(seen: Detections, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rays that agree with the best triple; all candidates where no triple fixes a point.

    Of sets of the same size the one with the smaller sum of squared distances wins.
    """
    index = np.flatnonzero(candidates)
    triples = index[_triples(len(index))] if len(index) >= 3 else np.empty((0, 3), dtype=int)
    projections = perpendicular_projector(seen.rays)
    normals = projections[triples].sum(axis=1)
    firm = np.linalg.eigvalsh(normals)[:, 0] > MIN_EIGENVALUE if len(triples) else np.zeros(0, dtype=bool)
    if not firm.any():
        return candidates
    fixed = np.einsum("nij,nj->ni", projections, seen.rays.origins_mm)[triples[firm]].sum(axis=1)
    proposals_mm = np.linalg.solve(normals[firm], fixed[..., None])[..., 0]
    away: Floats = distances_mm(seen.rays, proposals_mm) / seen.sigma_mm
    agree = (away <= INLIER_SIGMAS) & candidates
    costs = (np.minimum(away, INLIER_SIGMAS) ** 2 * candidates).sum(axis=1)
    best = np.lexsort((costs, -agree.sum(axis=1)))[0]
    chosen = agree[best]
    return chosen if chosen.sum() >= 2 and _is_firm(seen.rays, chosen) else candidates


def _triples(count: int) -> NDArray[np.int64]:
    """Return triples (DRAWS or fewer, 3) of the numbers below `count`."""
    if comb(count, 3) <= DRAWS:
        return np.array(list(combinations(range(count), 3)))
    random = np.random.default_rng(SEED)
    return np.sort(random.random((DRAWS, count)).argsort(axis=1)[:, :3], axis=1)


def _is_firm(rays: Rays, chosen: NDArray[np.bool_]) -> bool:
    normal = perpendicular_projector(Rays(*(part[chosen] for part in rays))).mean(axis=0)
    return bool(np.linalg.eigvalsh(normal)[0] > MIN_EIGENVALUE)
