"""Least squares over the rays, with equal weights or weights from validation objects."""

import numpy as np

from featurelib.models.fusion.detections import Detections, FusedPoints
from featurelib.models.fusion.lines import Floats, covariance_mm2, fused, least_squares_point


def least_squares(views: Detections) -> FusedPoints:
    """Return the points with the least sum of squared distances from all rays."""
    return _weighted_by(views, views.usable.astype(np.float64))


def weighted(views: Detections) -> FusedPoints:
    """Return the points with the least sum of squared distances, with weights 1 / sigma_mm^2."""
    return _weighted_by(views, views.usable / views.sigma_mm**2)


def _weighted_by(views: Detections, weights: Floats) -> FusedPoints:
    return fused(views, least_squares_point(views.rays, weights), covariance_mm2(views, weights), views.usable)
