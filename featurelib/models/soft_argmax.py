"""The position of a landmark as the mean of a map (soft-argmax), and its covariance, from the outputs of a network.

Nibali et al., Numerical Coordinate Regression with Convolutional Neural Networks, 2018,
https://arxiv.org/abs/1801.07372. `featurelib.models.heatmaps` has the same formulas for training, as Keras operations.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Float = TypeVar("Float", bound=np.floating)


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
    """Return the moments of the softmax of maps of logits (..., h, w), in float64."""
    cells = np.asarray(logits, dtype=np.float64)
    shares = np.exp(cells - cells.max(axis=(-2, -1), keepdims=True))
    shares /= shares.sum(axis=(-2, -1), keepdims=True)
    across, down = shares.sum(axis=-2), shares.sum(axis=-1)
    x, y = (cell_centres(size, np.float64) for size in (cells.shape[-1], cells.shape[-2]))
    xy = np.stack([across @ x, down @ y], axis=-1)
    dx, dy = x - xy[..., :1], y - xy[..., 1:]
    xx, yy = (across * dx**2).sum(axis=-1), (down * dy**2).sum(axis=-1)
    both = ((shares @ dx[..., None])[..., 0] * dy).sum(axis=-1)
    covariance = np.stack([np.stack([xx, both], axis=-1), np.stack([both, yy], axis=-1)], axis=-2)
    return MapMoments(xy, covariance)
