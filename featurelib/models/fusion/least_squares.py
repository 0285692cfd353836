"""Least squares over the rays, with equal weights or weights from validation objects."""

import numpy as np

from featurelib.geometry import triangulate
from featurelib.models.fusion.detections import Detections, FusedPoint
from featurelib.models.fusion.lines import covariance_mm2, fused, least_squares_point


def least_squares(detections: Detections) -> FusedPoint:
    """Return the point with the least sum of squared distances from all rays.

    Raises:
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    seen = detections.seen()
    return fused(detections, triangulate(seen.rays), covariance_mm2(seen, np.ones(len(seen.usable))), seen.usable)


def weighted(detections: Detections) -> FusedPoint:
    """Return the point with the least sum of squared distances, with weights 1 / sigma_mm^2.

    Raises:
        GeometryError: as least_squares.
    """
    seen = detections.seen()
    triangulate(seen.rays)  # rejects parallel rays
    weights = seen.sigma_mm**-2
    return fused(detections, least_squares_point(seen.rays, weights), covariance_mm2(seen, weights), seen.usable)
