"""The position of a landmark as the mean of a map (soft-argmax), and its covariance, from the outputs of a network.

Nibali et al., Numerical Coordinate Regression with Convolutional Neural Networks, 2018,
https://arxiv.org/abs/1801.07372. `featurelib.models.heatmaps` has the same formulas for training, as Keras operations.
"""

from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Float = TypeVar("Float", bound=np.floating)

MAPS_AT_ONCE = 16
"""Maps whose exponentials are in memory at a time; they stay in the cache, which halves the time of large batches."""


class MapMoments(NamedTuple):
    """The means and covariances of maps.

    xy: (..., 2) image positions. covariance: (..., 2, 2) of xy, in squared fractions of the width.
    """

    xy: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """(...) standard deviation along one axis, as a share of the width."""
        return spread_of(self.covariance)


def spread_of(covariance: NDArray[Float]) -> NDArray[Float]:
    """Return the standard deviations (...) along one axis of covariances (..., 2, 2)."""
    spread: NDArray[Float] = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 2)
    return spread


def cell_centres(count: int, dtype: DTypeLike = np.float32) -> NDArray[np.floating]:
    """Return the positions (count,) of the centres of `count` cells along an image side, as fractions of the side."""
    return ((np.arange(count) + 0.5) / count).astype(dtype)


def map_moments(logits: NDArray[np.floating]) -> MapMoments:
    """Return the moments of the softmax of maps of logits (..., h, w), in float64.

    One matrix product takes all moments of a map: 0.3 ms for 80 maps of 32 x 32 cells on one core.
    """
    *outer, height, width = np.shape(logits)
    cells = np.ascontiguousarray(logits).reshape(-1, height * width)  # maps (n, h, w, k) moved are slow to read
    weights, sums = _monomials(height, width), np.empty((len(cells), 6))
    for first in range(0, len(cells), MAPS_AT_ONCE):
        some = cells[first : first + MAPS_AT_ONCE]
        shares = np.exp(some - some.max(axis=-1, keepdims=True), dtype=np.float64)
        np.matmul(shares, weights, out=sums[first : first + MAPS_AT_ONCE])
    x, y, xx, xy, yy = (sums[:, 1:] / sums[:, :1]).T
    centres = np.stack([x, y], axis=-1)
    squares = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    covariance = squares - centres[:, :, None] * centres[:, None]
    return MapMoments((centres + 0.5).reshape(*outer, 2), covariance.reshape(*outer, 2, 2))


@cache
def _monomials(height: int, width: int) -> NDArray[np.float64]:
    """Return 1, x, y, xx, xy, yy (h w, 6) of the cells' centres, counted from the image's centre for precision."""
    down, across = (cell_centres(size, np.float64) - 0.5 for size in (height, width))
    x, y = (part.ravel() for part in np.meshgrid(across, down))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
