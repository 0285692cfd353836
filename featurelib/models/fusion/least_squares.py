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
    views = detections.only_usable()
    return fused(detections, triangulate(views.rays), covariance_mm2(views, np.ones(len(views.usable))), views.usable)


def weighted(detections: Detections) -> FusedPoint:
    """Return the point with the least sum of squared distances, with weights 1 / sigma_mm^2.

    Raises:
        GeometryError: as least_squares.
    """
    views = detections.only_usable()
    triangulate(views.rays)  # rejects parallel rays
    weights = views.sigma_mm**-2
    return fused(detections, least_squares_point(views.rays, weights), covariance_mm2(views, weights), views.usable)
