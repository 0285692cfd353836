"""Methods that place the landmark on the mesh."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import Rays
from featurelib.meshes.surface import closest_points
from featurelib.models.fusion.consensus import robust_points
from featurelib.models.fusion.detections import Detections, FusedPoints, Surface
from featurelib.models.fusion.hits import first_hits
from featurelib.models.fusion.lines import (
    MAX_STEPS,
    TOLERANCE_MM,
    Floats,
    covariance_mm2,
    fused,
    normal_matrix,
    within_sigmas,
)

SNAP_SIGMAS = 3.29
"""Maximum distance of the snap, in standard deviations of the point: with a correct covariance, the surface is closer
in 99.9 % of cases. (For a plane through 0 with normal n the minimum of p^T N p is (n . p)^2 / (n^T N^-1 n), which is
chi-squared with one degree of freedom.)"""

ROUGHNESS = 0.25
"""Share of the standard deviation perpendicular to the surface that remains after the snap, since the tangent plane
only approximates a curved surface (a sphere of 4 mm differs from it by 0.1 mm at a distance of 1 mm)."""

MIN_COSINE = 0.1
"""Lower bound of the cosine between ray and normal in the weight of a hit (6 degrees from grazing)."""

MEDIAN_LOSS = 4 / np.pi
"""Variance of the median in a plane, relative to the mean, without outliers (Brown, Statistical Uses of the Spatial
Median, Journal of the Royal Statistical Society B 45(1), 1983)."""

MEDIAN_CHI2 = 2 * np.log(2)
"""Median of the squared distance, in sigmas, between the landmark and an inlier's hit on a flat surface. The covariance
grows where hits are spread more widely, for instance in the folds of an ear."""


class Snap(NamedTuple):
    """A point of the surface (3,), and its unit normal (3,); zero if the triangle has no area."""

    point_mm: Floats
    normal: Floats


class Balls(NamedTuple):
    """Balls around the triangles of a surface: centres (f, 3) and radii (f,) in mm."""

    centres_mm: Floats
    radii_mm: Floats

    @classmethod
    def around(cls, surface: Surface) -> Self:
        """Return the balls around the centroids of all triangles."""
        corners = np.asarray(surface.vertices_mm, dtype=np.float64)[surface.faces]
        centres_mm = corners.mean(axis=1)
        return cls(centres_mm, np.linalg.norm(corners - centres_mm[:, None], axis=2).max(axis=1))


def snapped(views: Detections) -> FusedPoints:
    """Return the points of `robust`, moved to the surface points that are most likely given their covariances.

    That is the surface point with the least p^T N p, where p is its offset from the robust point and N the inverse
    covariance. The point moves mostly along its uncertain directions (depth); the Euclidean closest point would move it
    perpendicular to the rays as well. If the most likely surface point is more than SNAP_SIGMAS away, the point is not
    moved, and FusedPoints.snapped is false.
    """
    surface = _surface_of(views)
    points_mm, weights = robust_points(views)
    covariance = covariance_mm2(views, weights)
    metric = np.linalg.inv(covariance)
    balls = Balls.around(surface)
    found = [nearest_in_metric(point, own, surface, balls) for point, own in zip(points_mm, metric, strict=True)]
    snaps_mm = np.reshape([snap.point_mm for snap in found], points_mm.shape)
    normals = np.reshape([snap.normal for snap in found], points_mm.shape)
    ways = snaps_mm - points_mm
    near = np.einsum("mi,mij,mj->m", ways, metric, ways) <= SNAP_SIGMAS**2
    return fused(
        views,
        np.where(near[:, None], snaps_mm, points_mm),
        np.where(near[:, None, None], on_plane(covariance, covariance, normals), covariance),
        within_sigmas(views, points_mm),
        snap_mm=np.linalg.norm(ways, axis=1),
        snapped=near,
    )


def surface_median(views: Detections) -> FusedPoints:
    """Return the geometric medians of the rays' first hits on the surface, moved to the surface.

    The weight of a hit is its view's visibility (a ray towards an occluded landmark hits the occluder), times 1 /
    sigma_mm, times the cosine between ray and normal. One view is enough. A landmark is NaN if no ray hits the surface.
    """
    surface, usable = _surface_of(views), views.usable
    away_mm, faces = np.full(usable.shape, np.inf), np.full(usable.shape, -1)
    away_mm[usable], faces[usable] = first_hits(Rays(*(part[usable] for part in views.rays)), surface)
    hit = np.isfinite(away_mm)
    answered = np.asarray(hit.any(axis=1))
    found = _median_of_hits(views.of(answered), surface, np.where(hit, away_mm, 0)[answered], faces[answered])
    return found.among(answered)


def _median_of_hits(views: Detections, surface: Surface, away_mm: Floats, faces: NDArray[np.int64]) -> FusedPoints:
    """Return the points for hits at distances (m, v) on faces (m, v), -1 without a hit; each landmark has one."""
    hit = faces >= 0
    hits_mm = views.rays.origins_mm + away_mm[..., None] * views.rays.directions
    cosines = np.abs(np.einsum("mni,mni->mn", face_normals(surface, faces), views.rays.directions))
    weights = hit * np.maximum(cosines, MIN_COSINE) / views.sigma_mm
    if views.visibility is not None:
        seen = weights * views.visibility
        weights = np.where(seen.any(axis=1, keepdims=True), seen, weights)
    medians_mm = geometric_median(hits_mm, weights)
    points_mm, snap_mm, on_faces = closest_points(medians_mm, surface.vertices_mm, surface.faces)
    used = (weights > 0) & within_sigmas(views, points_mm)
    used = np.where(used.any(axis=1, keepdims=True), used, weights > 0)
    normals = face_normals(surface, on_faces)
    away = np.linalg.norm(hits_mm - points_mm[:, None], axis=2) / views.sigma_mm
    spread = np.maximum(1.0, weighted_median(away**2, weights) / MEDIAN_CHI2)
    covariance = spread[:, None, None] * _median_covariance(views, used, normals)
    return fused(views, points_mm, covariance, used, snap_mm=snap_mm, snapped=np.ones(len(points_mm), dtype=bool))


def nearest_in_metric(point_mm: Floats, metric: Floats, surface: Surface, balls: Balls | None = None) -> Snap:
    """Return the surface point q with the least (q - p)^T metric (q - p), for a positive definite metric (3, 3).

    With metric = L L^T, q is the Euclidean closest point after multiplication by L^T. The triangle of the nearest ball
    bounds the distance, and triangles whose ball is beyond the bound are skipped.

    Args:
        point_mm: (3,) p.
        metric: (3, 3).
        surface: with the points q.
        balls: of the surface, if they are known.
    """
    balls = balls or Balls.around(surface)
    root = np.linalg.cholesky(metric / np.trace(metric))
    offsets = np.asarray(surface.vertices_mm, dtype=np.float64) - point_mm
    to_centres = np.linalg.norm(balls.centres_mm - point_mm, axis=1)
    corners = offsets[surface.faces[to_centres.argmin()]] @ root
    least_scale = np.linalg.svd(root, compute_uv=False)[-1]
    reach_mm = np.linalg.norm(corners, axis=1).min() / least_scale * (1 + 1e-9)
    near = np.flatnonzero(to_centres - balls.radii_mm <= reach_mm)
    (found,), _, (face,) = closest_points(np.zeros((1, 3)), offsets @ root, np.asarray(surface.faces)[near])
    return Snap(point_mm + np.linalg.solve(root.T, found), face_normals(surface, near[[face]])[0])


def on_plane(covariance: Floats, slack: Floats, normal: Floats) -> Floats:
    """Return the covariances (..., 3, 3) after points were moved onto planes of unit normals, along slack @ normal.

    Args:
        covariance: (..., 3, 3) before the move.
        slack: (..., 3, 3) inverse of the metric in which the plane's point is the closest.
        normal: (..., 3); where zero (unknown), the covariance is returned unchanged.
    """
    is_known = np.asarray(normal.any(axis=-1))[..., None]
    pulled = np.einsum("...ij,...j->...i", slack, normal)
    along = pulled / np.where(is_known, (normal * pulled).sum(axis=-1, keepdims=True), 1.0)
    project = np.eye(3) - along[..., :, None] * normal[..., None, :]
    rest = ROUGHNESS**2 * np.einsum("...i,...ij,...j->...", normal, covariance, normal)[..., None, None]
    outer = normal[..., :, None] * normal[..., None, :]
    return np.asarray(project @ covariance @ project.swapaxes(-1, -2) + rest * outer)


def geometric_median(points: Floats, weights: ArrayLike) -> Floats:
    """Return the points (..., 3) with the least weighted sums of distances to given points, by Weiszfeld's algorithm.

    Args:
        points: (..., n, 3).
        weights: (..., n) not negative, and not all zero.
    """
    w = np.asarray(weights, dtype=np.float64)[..., None]
    median = (w * points).sum(axis=-2) / w.sum(axis=-2)
    for _ in range(3 * MAX_STEPS):
        away = np.linalg.norm(points - median[..., None, :], axis=-1, keepdims=True)
        pull = w / np.maximum(away, TOLERANCE_MM)
        last, median = median, (pull * points).sum(axis=-2) / pull.sum(axis=-2)
        if (np.linalg.norm(median - last, axis=-1) < TOLERANCE_MM).all():
            break
    return np.asarray(median)


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """Return the weighted medians (...) of values (..., n)."""
    order = np.argsort(values, axis=-1, kind="stable")
    mass = np.cumsum(np.take_along_axis(weights, order, axis=-1), axis=-1)
    at = (mass >= mass[..., -1:] / 2).argmax(axis=-1)[..., None]
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, axis=-1), at, axis=-1)[..., 0])


def _median_covariance(views: Detections, used: NDArray[np.bool_], normals: Floats) -> Floats:
    """Return the covariances (m, 3, 3) of the medians of hits near planes; one ray is enough."""
    weights = used / views.sigma_mm**2 / MEDIAN_LOSS
    mean_square = (used * views.sigma_mm**2).sum(axis=1) / used.sum(axis=1)
    floor = 1 / (ROUGHNESS**2 * mean_square)[:, None, None]
    planes = normals[:, :, None] * normals[:, None, :]
    own = np.linalg.inv(normal_matrix(views.rays, weights) + floor * (planes + 1e-6 * np.eye(3)))
    return np.asarray(own + np.asarray(views.shared_mm)[:, None, None] ** 2 * (np.eye(3) - planes))


def face_normals(surface: Surface, faces: NDArray[np.integer]) -> Floats:
    """Return the unit normals (..., 3) of faces (...); zero for faces without area."""
    corners = np.asarray(surface.vertices_mm)[np.asarray(surface.faces)[faces]].astype(np.float64)
    normals = np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)


def _surface_of(views: Detections) -> Surface:
    assert views.surface is not None  # checked by fuse
    return views.surface
