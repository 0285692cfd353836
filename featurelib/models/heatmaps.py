"""Heatmaps in training: the position of a landmark as the mean of a map, and the losses of maps.

The mean of a normalised map (soft-argmax) is differentiable, and finer than the map's cells: Nibali et al. 2018,
https://arxiv.org/abs/1801.07372. Maps are logits (n, h, w, k). Positions are fractions of the image; the cell in row 0
and column 0 has its centre at (0.5 / w, 0.5 / h). `featurelib.models.soft_argmax` reads maps without Keras.
"""

from typing import Any

from keras import ops

from featurelib.models.soft_argmax import cell_centres

Tensor = Any
"""A backend tensor, a symbolic tensor of Keras or a NumPy array."""

TINY = 1e-30
"""Added to probabilities whose logarithm is taken; cells where both maps underflow to zero count nothing."""


def log_probabilities(maps: Tensor) -> Tensor:
    """Return the log probabilities (n, h, w, k) of maps: the exponentials of each map sum to 1 over the image."""
    return maps - ops.logsumexp(maps, axis=(1, 2), keepdims=True)


def means(log_p: Tensor) -> Tensor:
    """Return the mean positions xy (n, k, 2) of normalised maps."""
    _, height, width, _ = log_p.shape
    p = ops.exp(log_p)
    x = ops.sum(ops.sum(p, axis=1) * cell_centres(width)[:, None], axis=1)
    y = ops.sum(ops.sum(p, axis=2) * cell_centres(height)[:, None], axis=1)
    return ops.stack([x, y], axis=-1)


def gaussian(xy: Tensor, height: int, width: int, sigma_cells: float) -> Tensor:
    """Return log probabilities (n, h, w, k) of isotropic Gaussians at xy (n, k, 2), with a standard deviation in cells.

    They are normalised over the image, so a map whose centre is outside also sums to 1. Columns and rows are normalised
    apart, which takes no exponential per cell.
    """
    across, down = _gaussian_1d(xy[..., 0], width, sigma_cells), _gaussian_1d(xy[..., 1], height, sigma_cells)
    return down[:, :, None] + across[:, None]


def _gaussian_1d(centres: Tensor, count: int, sigma_cells: float) -> Tensor:
    """Return log probabilities (n, count, k) of Gaussians along a side, at centres (n, k)."""
    offsets = (cell_centres(count)[:, None] - centres[:, None]) * count
    squares = -(offsets**2) / (2 * sigma_cells**2)
    return squares - ops.logsumexp(squares, axis=1, keepdims=True)


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergences (n, k) of two sets of log probabilities, from 0 to ln 2."""
    p, q = ops.exp(log_p), ops.exp(log_q)
    log_m = ops.log((p + q) / 2 + TINY)
    return ops.sum(p * (log_p - log_m) + q * (log_q - log_m), axis=(1, 2)) / 2
