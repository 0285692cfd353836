"""Heatmaps: the position of a landmark as the mean of a map, and its spread as the covariance.

The mean of a normalised map (soft-argmax) is differentiable, and finer than the map's cells: Nibali et al. 2018,
https://arxiv.org/abs/1801.07372. Maps are logits (n, h, w, k). Positions are fractions of the image; the cell in row 0
and column 0 has its centre at (0.5 / w, 0.5 / h). The functions use keras.ops, so they serve networks in training and
NumPy arrays.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import DTypeLike, NDArray

Tensor = Any
"""A backend tensor, a symbolic tensor of Keras or a NumPy array."""


def cell_centres(count: int, dtype: DTypeLike = np.float32) -> NDArray[np.floating]:
    """Return the positions (count,) of the centres of `count` cells along an image side, as fractions of the side."""
    return ((np.arange(count) + 0.5) / count).astype(dtype)


def log_probabilities(maps: Tensor) -> Tensor:
    """Return the log probabilities (n, h, w, k) of maps: the exponentials of each map sum to 1 over the image."""
    return maps - ops.logsumexp(maps, axis=(1, 2), keepdims=True)


def means(log_p: Tensor) -> Tensor:
    """Return the mean positions xy (n, k, 2) of normalised maps."""
    _, height, width, _ = log_p.shape
    p = ops.exp(log_p)
    x = ops.einsum("nhwk,w->nk", p, cell_centres(width))
    y = ops.einsum("nhwk,h->nk", p, cell_centres(height))
    return ops.stack([x, y], axis=-1)


def covariances(log_p: Tensor, mean_xy: Tensor) -> Tensor:
    """Return the covariances (n, k, 2, 2) of normalised maps about their means (n, k, 2), in squared fractions."""
    _, height, width, _ = log_p.shape
    p = ops.exp(log_p)
    dx = cell_centres(width)[:, None] - mean_xy[:, None, :, 0]  # (n, w, k)
    dy = cell_centres(height)[:, None] - mean_xy[:, None, :, 1]  # (n, h, k)
    xx = ops.einsum("nhwk,nwk->nk", p, dx * dx)
    yy = ops.einsum("nhwk,nhk->nk", p, dy * dy)
    xy = ops.einsum("nhwk,nwk,nhk->nk", p, dx, dy)
    return ops.reshape(ops.stack([xx, xy, xy, yy], axis=-1), (-1, mean_xy.shape[1], 2, 2))


def gaussian(xy: Tensor, height: int, width: int, sigma_cells: float) -> Tensor:
    """Return log probabilities (n, h, w, k) of isotropic Gaussians at xy (n, k, 2), with a standard deviation in cells.

    They are normalised over the image, so a map whose centre is outside also sums to 1.
    """
    dx = (cell_centres(width)[:, None] - xy[:, None, :, 0]) * width
    dy = (cell_centres(height)[:, None] - xy[:, None, :, 1]) * height
    return log_probabilities(-(dx[:, None] ** 2 + dy[:, :, None] ** 2) / (2 * sigma_cells**2))


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergences (n, k) of two sets of log probabilities, from 0 to ln 2."""
    log_m = ops.logaddexp(log_p, log_q) - float(np.log(2))
    to_middle = ops.exp(log_p) * (log_p - log_m) + ops.exp(log_q) * (log_q - log_m)
    return ops.sum(to_middle, axis=(1, 2)) / 2
