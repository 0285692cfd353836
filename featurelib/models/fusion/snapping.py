"""Methods that place the landmark on the mesh."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from featurelib.errors import GeometryError, UsageError
from featurelib.meshes.surface import closest_points
from featurelib.models.fusion.consensus import robust_point
from featurelib.models.fusion.detections import Detections, FusedPoint, Surface
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


def snapped(detections: Detections) -> FusedPoint:
    """Return the point of `robust`, moved to the surface point that is most likely given its covariance.

    That is the surface point with the least p^T N p, where p is its offset from the robust point and N the inverse
    covariance. The point moves mostly along its uncertain directions (depth); the Euclidean closest point would move it
    perpendicular to the rays as well. If the most likely surface point is more than SNAP_SIGMAS away, the point is not
    moved, and FusedPoint.snapped is false.

    Raises:
        UsageError: if the detections have no surface.
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    surface = _surface_of(detections, "snapped")
    views, point, weights = robust_point(detections)
    covariance = covariance_mm2(views, weights)
    metric = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    snap = nearest_in_metric(point, metric, surface)
    way = snap.point_mm - point
    snap_mm = float(np.linalg.norm(way))
    used = within_sigmas(views, point)
    if way @ metric @ way > SNAP_SIGMAS**2:
        return fused(detections, point, covariance, used, snap_mm=snap_mm)
    return fused(
        detections, snap.point_mm, on_plane(covariance, covariance, snap.normal), used, snap_mm=snap_mm, snapped=True
    )


def surface_median(detections: Detections) -> FusedPoint:
    """Return the geometric median of the rays' first hits on the surface, moved to the surface.

    The weight of a hit is its view's visibility (a ray towards an occluded landmark hits the occluder), times 1 /
    sigma_mm, times the cosine between ray and normal. One view is enough.

    Raises:
        UsageError: if the detections have no surface.
        GeometryError: if no usable ray hits the surface.
    """
    surface = _surface_of(detections, "surface")
    views = detections.only_usable()
    away_mm, faces = first_hits(views.rays, surface)
    hit = np.isfinite(away_mm)
    if not hit.any():
        raise GeometryError(f"none of the {len(hit)} usable rays hits the surface")
    hits_mm = views.rays.origins_mm + np.where(hit, away_mm, 0)[:, None] * views.rays.directions
    cosines = np.abs(np.einsum("ni,ni->n", _normals(surface, faces), views.rays.directions))
    weights = hit * np.maximum(cosines, MIN_COSINE) / views.sigma_mm
    if views.visibility is not None and (weights * views.visibility).any():
        weights = weights * views.visibility
    median_mm = geometric_median(hits_mm[weights > 0], weights[weights > 0])
    (point,), (snap_mm,), (face,) = closest_points(median_mm[None], surface.vertices_mm, surface.faces)
    used = (weights > 0) & within_sigmas(views, point)
    used = used if used.any() else weights > 0
    normal = _normals(surface, np.array([face]))[0]
    away = np.linalg.norm(hits_mm - point, axis=1) / views.sigma_mm
    covariance = max(1.0, weighted_median(away**2, weights) / MEDIAN_CHI2) * _median_covariance(views, used, normal)
    return fused(detections, point, covariance, used, snap_mm=float(snap_mm), snapped=True)


def nearest_in_metric(point_mm: Floats, metric: Floats, surface: Surface) -> Snap:
    """Return the surface point q with the least (q - p)^T metric (q - p), for a positive definite metric (3, 3).

    With metric = L L^T, q is the Euclidean closest point after multiplication by L^T.
    """
    root = np.linalg.cholesky(metric / np.trace(metric))
    offsets = np.asarray(surface.vertices_mm, dtype=np.float64) - point_mm
    (found,), _, (face,) = closest_points(np.zeros((1, 3)), offsets @ root, surface.faces)
    return Snap(point_mm + np.linalg.solve(root.T, found), _normals(surface, np.array([face]))[0])


def on_plane(covariance: Floats, slack: Floats, normal: Floats) -> Floats:
    """Return the covariance (3, 3) after a point was moved onto the plane of a unit normal, along slack @ normal.

    Args:
        covariance: (3, 3) before the move.
        slack: (3, 3) inverse of the metric in which the plane's point is the closest.
        normal: (3,); if zero (unknown), the covariance is returned unchanged.
    """
    if not normal.any():
        return covariance
    along = slack @ normal / (normal @ slack @ normal)
    project = np.eye(3) - np.outer(along, normal)
    rest = ROUGHNESS**2 * (normal @ covariance @ normal)
    return np.asarray(project @ covariance @ project.T + rest * np.outer(normal, normal))


def geometric_median(points: Floats, weights: ArrayLike) -> Floats:
    """Return the point (3,) with the least weighted sum of distances to points (n, 3), by Weiszfeld's algorithm."""
    w = np.asarray(weights, dtype=np.float64)
    median = w @ points / w.sum()
    for _ in range(3 * MAX_STEPS):
        pull = w / np.maximum(np.linalg.norm(points - median, axis=1), TOLERANCE_MM)
        last, median = median, pull @ points / pull.sum()
        if np.linalg.norm(median - last) < TOLERANCE_MM:
            break
    return np.asarray(median)


def weighted_median(values: Floats, weights: Floats) -> float:
    """Return the weighted median of values (n,)."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(mass, mass[-1] / 2)])


def _median_covariance(views: Detections, used: Floats, normal: Floats) -> Floats:
    """Return the covariance (3, 3) of the median of hits near a plane; one ray is enough."""
    weights = used / views.sigma_mm**2 / MEDIAN_LOSS
    floor = (ROUGHNESS * np.sqrt(np.mean(views.sigma_mm[used] ** 2))) ** -2
    plane = np.outer(normal, normal)
    own = np.linalg.inv(normal_matrix(views.rays, weights) + floor * (plane + 1e-6 * np.eye(3)))
    return np.asarray(own + views.shared_mm**2 * (np.eye(3) - plane))


def _normals(surface: Surface, faces: np.ndarray) -> Floats:
    """Return the unit normals (n, 3) of faces; zero for faces without area."""
    corners = np.asarray(surface.vertices_mm, dtype=np.float64)[np.asarray(surface.faces)[faces]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)


def _surface_of(detections: Detections, method: str) -> Surface:
    if detections.surface is None:
        raise UsageError(f"fusion {method}: needs the object's mesh; use robust where there is none")
    return detections.surface
