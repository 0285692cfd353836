"""The networks of a stage: small encoder-decoders with skip connections, with a heatmap at half the image's resolution.

The networks of a stage have the same input and different initial weights. The distance between their positions is a
measure of uncertainty. They are branches of one graph: on two cores, two branches train on 360 images of 96 pixels per
second (180 each), and a single network on 205, since the threads of one convolution wait for each other.

The outputs are logits of maps (`featurelib.models.soft_argmax`).

At the default size and width, one core trains one network on 200 images of 96 pixels per second and evaluates 600.
Without normalisation it trains on a quarter more, with heatmaps at a quarter of the resolution on a third more.
"""

import keras

from featurelib.errors import UsageError
from featurelib.models.refiner.stages import NETWORKS

STRIDE = 2
"""Image pixels per cell of the map."""

MULTIPLE = 16
"""The image size is a multiple of this, since it is halved four times."""


def build_network(size_px: int = 96, *, width: int = 16, networks: int = NETWORKS) -> keras.Model:
    """Return m untrained networks as one: images (n, s, s, 3) of 0 to 255 in, logits (n, m, s / 2, s / 2) out.

    Args:
        size_px: s, a multiple of 16.
        width: channels at half resolution; deeper levels have 2, 3 and 4 times as many.
        networks: m.

    Raises:
        UsageError: if the size is not a multiple of 16.
    """
    if size_px % MULTIPLE or size_px < MULTIPLE:
        raise UsageError(f"crop of {size_px} pixels: expected a multiple of {MULTIPLE}")
    inputs = keras.Input((size_px, size_px, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    maps = [_map(scaled, size_px // STRIDE, width) for _ in range(networks)]
    return keras.Model(inputs, keras.layers.Concatenate(axis=1)(maps) if networks > 1 else maps[0], name="closeup")


def _map(x: keras.KerasTensor, cells: int, width: int) -> keras.KerasTensor:
    """Return one network's logits (n, 1, cells, cells) for scaled images (n, s, s, 3)."""
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


def _conv(x: keras.KerasTensor, channels: int, *, strides: int = 1) -> keras.KerasTensor:
    x = keras.layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
    return keras.layers.ReLU()(_normalised(x))


def _residual(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    y = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(_conv(x, channels))
    return keras.layers.ReLU()(keras.layers.Add()([x, _normalised(y)]))


def _joined(deep: keras.KerasTensor, skip: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """Return the deep features at twice their resolution, joined with the encoder's features."""
    deep = keras.layers.Conv2D(channels, 1, use_bias=False)(deep)
    deep = keras.layers.UpSampling2D(2)(deep)
    skip = keras.layers.Conv2D(channels, 1, use_bias=False)(skip)
    return _conv(keras.layers.ReLU()(_normalised(keras.layers.Add()([deep, skip]))), channels)


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return x normalised over the batch; Keras's momentum of 0.99 is too slow for trainings of a thousand steps."""
    return keras.layers.BatchNormalization(momentum=0.9)(x)
