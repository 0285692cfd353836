"""Where the rays meet, with weights that do not depend on the answer: equal, from validation, from the detector."""

import numpy as np

from featurelib.errors import UsageError
from featurelib.geometry import triangulate
from featurelib.models.fusion.detections import Detections, Fused
from featurelib.models.fusion.lines import Floats, covariance_mm2, fused, least_squares_point, within_sigmas


def least_squares(detections: Detections) -> Fused:
    """Return the point nearest to all rays, all alike.

    Raises:
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    seen = detections.seen()
    return fused(detections, triangulate(seen.rays), covariance_mm2(seen, np.ones(len(seen.usable))), seen.usable)


def weighted(detections: Detections) -> Fused:
    """Return the point nearest to all rays, each with the weight 1 / sigma_mm^2.

    Raises:
        GeometryError: as least_squares.
    """
    seen = detections.seen()
    triangulate(seen.rays)  # refuses parallel rays
    weights = seen.sigma_mm**-2
    return fused(detections, least_squares_point(seen.rays, weights), covariance_mm2(seen, weights), seen.usable)


def by_covariance(detections: Detections) -> Fused:
    """Return the point that is likeliest if the detector's covariances are true.

    The displacement of a point in the image plane is B (p - o), where B first slides p - o along the ray into
    that plane and then takes its parts along right and up; a view's information is B^T C^-1 B. The claim is only
    as good as the detector's: sigma_mm plays no part in it.

    Raises:
        UsageError: if the detections hold no covariances and axes.
        GeometryError: as least_squares.
    """
    seen = detections.seen()
    if seen.covariance_mm2 is None or seen.axes is None:
        raise UsageError("fusion covariance: the detector gave no covariances; use weighted or robust")
    start_mm = triangulate(seen.rays)
    information = _information(seen.covariance_mm2, seen.axes, seen.rays.directions)
    total = information.sum(axis=0)
    offsets = seen.rays.origins_mm - start_mm  # from the start, so that far cameras do not cost digits
    xyz_mm = start_mm + np.linalg.solve(total, np.einsum("nij,nj->i", information, offsets))
    covariance = np.linalg.inv(total) + seen.shared_mm**2 * np.eye(3)
    return fused(detections, xyz_mm, covariance, within_sigmas(seen, xyz_mm))


def _information(covariances_mm2: Floats, axes: Floats, directions: Floats) -> Floats:
    """Return B^T C^-1 B (n, 3, 3) of each view."""
    towards = np.cross(axes[:, 0], axes[:, 1])
    share = towards / np.einsum("ni,ni->n", directions, towards)[:, None]
    slide = np.eye(3) - directions[:, :, None] * share[:, None, :]
    in_plane = axes @ slide  # (n, 2, 3)
    return np.asarray(in_plane.transpose(0, 2, 1) @ np.linalg.solve(covariances_mm2, in_plane))
