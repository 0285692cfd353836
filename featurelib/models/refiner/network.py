"""The networks of a stage: small encoders and decoders with skips, each with a map at half the image's resolution.

They see the same image, begin from weights of their own, and how far apart they see the landmark says how sure they
are. They stand in one graph, side by side: two on two cores train on 360 images of 96 pixels a second (180 each), one
network with both cores to itself on 205, since the threads of one convolution wait for each other.

They answer with logits; the position is the mean of their softmax (Nibali et al., Numerical Coordinate Regression with
Convolutional Neural Networks, 2018, https://arxiv.org/abs/1801.07372), and the map's spread is its deviation.

At the default size and width a core trains one network on 200 images of 96 pixels a second and reads 600. Without
normalisation a quarter more were trained on, with maps at a quarter of the resolution a third: the arithmetic is what
costs.
"""

from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from featurelib.errors import UsageError
from featurelib.models.heatmaps import cell_centres
from featurelib.models.refiner.stages import NETWORKS

STRIDE = 2
"""Pixels of the image to a cell of the map."""

MULTIPLE = 16
"""The image's size is a multiple of this: it is halved four times."""


class Found(NamedTuple):
    """Where maps say the landmark is.

    xy: (..., 2) image positions. spread: (...,) standard deviation of the map around it, in widths of the image.
    """

    xy: NDArray[np.float64]
    spread: NDArray[np.float64]


def build_network(size_px: int = 96, *, width: int = 16, networks: int = NETWORKS) -> keras.Model:
    """Return m untrained networks as one: images (n, s, s, 3) of 0 to 255 in, logits (n, m, s / 2, s / 2) out.

    Args:
        size_px: s, a multiple of 16.
        width: channels at half resolution; deeper levels have 2, 3 and 4 times as many.
        networks: m.

    Raises:
        UsageError: if the size is no such multiple.
    """
    if size_px % MULTIPLE or size_px < MULTIPLE:
        raise UsageError(f"crop of {size_px} pixels: expected a multiple of {MULTIPLE}")
    inputs = keras.Input((size_px, size_px, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    maps = [_map(scaled, size_px // STRIDE, width) for _ in range(networks)]
    return keras.Model(inputs, keras.layers.Concatenate(axis=1)(maps) if networks > 1 else maps[0], name="closeup")


def _map(x: keras.KerasTensor, cells: int, width: int) -> keras.KerasTensor:
    """Return one network's logits (n, 1, cells, cells) for scaled images."""
    half = _conv(x, width, strides=2)
    quarter = _conv(_conv(half, 2 * width, strides=2), 2 * width)
    eighth = _residual(_conv(quarter, 3 * width, strides=2), 3 * width)
    deep = _residual(_residual(_conv(eighth, 4 * width, strides=2), 4 * width), 4 * width)
    x = _joined(deep, eighth, 3 * width)
    x = _residual(x, 3 * width)
    x = _joined(x, quarter, 2 * width)
    x = _conv(x, 2 * width)
    x = _joined(x, half, width)
    return keras.layers.Reshape((1, cells, cells))(keras.layers.Conv2D(1, 3, padding="same")(x))


def read_maps(logits: NDArray[np.floating]) -> Found:
    """Return the positions in maps of logits (..., h, h)."""
    cells = np.asarray(logits, dtype=np.float64)
    shares = np.exp(cells - cells.max(axis=(-2, -1), keepdims=True))
    shares /= shares.sum(axis=(-2, -1), keepdims=True)
    centres = cell_centres(cells.shape[-1], np.float64)
    across, down = shares.sum(axis=-2), shares.sum(axis=-1)
    xy = np.stack([across @ centres, down @ centres], axis=-1)
    variance = np.stack([across @ centres**2, down @ centres**2], axis=-1) - xy**2
    return Found(xy, np.sqrt(np.maximum(variance.mean(axis=-1), 0)))


def _conv(x: keras.KerasTensor, channels: int, *, strides: int = 1) -> keras.KerasTensor:
    x = keras.layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
    return keras.layers.ReLU()(_normalised(x))


def _residual(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    y = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(_conv(x, channels))
    return keras.layers.ReLU()(keras.layers.Add()([x, _normalised(y)]))


def _joined(deep: keras.KerasTensor, skip: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """Return the deep features at twice their resolution, joined with those of the way down."""
    deep = keras.layers.Conv2D(channels, 1, use_bias=False)(deep)
    deep = keras.layers.UpSampling2D(2)(deep)
    skip = keras.layers.Conv2D(channels, 1, use_bias=False)(skip)
    return _conv(keras.layers.ReLU()(_normalised(keras.layers.Add()([deep, skip]))), channels)


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    """Keras's momentum of 0.99 lags behind in trainings of a thousand steps."""
    return keras.layers.BatchNormalization(momentum=0.9)(x)
