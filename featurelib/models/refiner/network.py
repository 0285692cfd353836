"""The networks of a stage: small encoder-decoders with skip connections, with heatmaps at half the image's resolution.

A network has a map for each channel (`featurelib.models.refiner.sides`), and optionally tells for each whether the
landmark exists. The networks of a stage have the same input and different initial weights. The distance between their
positions is a measure of uncertainty. They are branches of one graph: on two cores, two branches train on 360 images of
96 pixels per second (180 each), and a single network on 205, since the threads of one convolution wait for each other.

The maps are logits (`featurelib.models.soft_argmax`).

At the default size and width, one core trains one network of one channel on 200 images of 96 pixels per second and
evaluates 600. Without normalisation it trains on a quarter more, with heatmaps at a quarter of the resolution on a
third more.
"""

import keras
from keras import ops

from featurelib.errors import UsageError

MULTIPLE = 16
"""The image size is a multiple of this, since it is halved four times."""


def build_network(
    size_px: int = 96, *, channels: int = 1, networks: int = 1, presence: bool = False, width: int = 16
) -> keras.Model:
    """Return m untrained networks as one: images (n, s, s, 3) of 0 to 255 in, logits out.

    Its outputs by name are `maps`, (n, m, c, s / 2, s / 2), and with presence `present`, (n, m, c).

    Args:
        size_px: s, a multiple of 16.
        channels: c, landmarks that are found.
        networks: m.
        presence: whether the networks tell which landmarks exist.
        width: channels at half resolution; deeper levels have 2, 3 and 4 times as many.

    Raises:
        UsageError: if the size is not a multiple of 16.
    """
    if size_px % MULTIPLE or size_px < MULTIPLE:
        raise UsageError(f"crop of {size_px} pixels: expected a multiple of {MULTIPLE}")
    inputs = keras.Input((size_px, size_px, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    branches = [_branch(scaled, channels, presence, width) for _ in range(networks)]
    outputs = {name: _stacked([branch[name] for branch in branches]) for name in branches[0]}
    return keras.Model(inputs, outputs, name="closeup")


def _stacked(branches: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Return the outputs (n, ...) of m networks as (n, m, ...)."""
    parts = [keras.layers.Reshape((1, *branch.shape[1:]))(branch) for branch in branches]
    return keras.layers.Concatenate(axis=1)(parts) if len(parts) > 1 else parts[0]


def _branch(x: keras.KerasTensor, channels: int, presence: bool, width: int) -> dict[str, keras.KerasTensor]:
    """Return one network's outputs for scaled images (n, s, s, 3)."""
    half = _conv(x, width, strides=2)
    quarter = _conv(_conv(half, 2 * width, strides=2), 2 * width)
    eighth = _residual(_conv(quarter, 3 * width, strides=2), 3 * width)
    deep = _residual(_residual(_conv(eighth, 4 * width, strides=2), 4 * width), 4 * width)
    x = _joined(deep, eighth, 3 * width)
    x = _residual(x, 3 * width)
    x = _joined(x, quarter, 2 * width)
    x = _conv(x, 2 * width)
    features = _joined(x, half, width)
    scores = keras.layers.Conv2D(channels, 3, padding="same")(features)
    maps = keras.layers.Permute((3, 1, 2))(scores)
    return {"maps": maps, "present": _present(maps, features)} if presence else {"maps": maps}


def _present(maps: keras.KerasTensor, features: keras.KerasTensor) -> keras.KerasTensor:
    """Return the logits (n, c) of features where each map is high, and of how high it is."""
    _, channels, cells, _ = maps.shape
    flat = keras.layers.Reshape((channels, cells * cells))(maps)
    pooled = keras.layers.Dot((2, 1))(
        [keras.layers.Softmax()(flat), keras.layers.Reshape((cells * cells, features.shape[-1]))(features)]
    )
    peak = ops.max(flat, axis=2, keepdims=True) - ops.mean(flat, axis=2, keepdims=True)
    known = keras.layers.Concatenate(axis=2)([pooled, peak])
    hidden = keras.layers.Dense(2 * features.shape[-1], activation="relu")(known)
    of_channel = keras.layers.EinsumDense("ncf,cf->nc", output_shape=(channels,), bias_axes="c")
    return of_channel(hidden)


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
