"""Heatmaps in training: the position of a landmark as the mean of a map, and the losses of maps.

The mean of a normalised map (soft-argmax) is differentiable, and finer than the map's cells: Nibali et al. 2018,
https://arxiv.org/abs/1801.07372. Maps are logits (n, h, w, k). Positions are fractions of the image; the cell in row 0
and column 0 has its centre at (0.5 / w, 0.5 / h). `featurelib.models.soft_argmax` reads maps without Keras.
"""

from typing import Any

import numpy as np
from keras import ops

from featurelib.models.soft_argmax import cell_centres

Tensor = Any
"""A backend tensor, a symbolic tensor of Keras or a NumPy array."""


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
