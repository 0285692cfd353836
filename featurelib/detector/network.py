"""The detector's network: MobileNetV2 and a head. Pictures go in as they are, 0 to 255: scaling is inside."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from featurelib.errors import DataError, UsageError

HEADS = ("regression",)
ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
UNTRAINED_MOMENTUM = 0.9
"""Of BatchNorm's moving statistics where the backbone starts untrained. MobileNetV2's own 0.999 is made for 100,000
steps: after 1,400 the error was 7 % of the width in training and 25 % in validation, where the statistics lag."""

L2 = 1e-4
"""Of the head's dense layers. Small beside the loss near its end (an MSE of about 1e-4) only because the
validation loss that stops the training leaves it out."""


def build_detector(
    *, head: str = "regression", alpha: float = 1.0, input_size: int = 224, weights: str = "imagenet"
) -> keras.Model:
    """Return an untrained detector: pictures (n, s, s, 3) of 0 to 255 in, near position xy (n, 2) in [0, 1] out.

    The regression head is global average pooling, 256 and 128 ReLU units with L2 and dropout, and two sigmoids.

    Args:
        head: one of HEADS.
        alpha: MobileNetV2's width (Sandler et al. 2018, https://arxiv.org/abs/1801.04381), one of ALPHAS.
        input_size: s, in pixels; a multiple of 32.
        weights: `imagenet` (Keras downloads them), `none`, or the path of a Keras .h5 without top or of an
            .npz that holds arrays by variable path.

    Raises:
        UsageError: if an argument is none of these.
        DataError: if the weights do not fit.
    """
    if head not in HEADS:
        raise UsageError(f"--head {head}: expected one of {', '.join(HEADS)}")
    if alpha not in ALPHAS:
        raise UsageError(f"--alpha {alpha:g}: expected one of {', '.join(f'{a:g}' for a in ALPHAS)}")
    if input_size % 32 or input_size < 32:
        raise UsageError(f"--input-size {input_size}: expected a multiple of 32 pixels")
    inputs = keras.Input((input_size, input_size, 3), name="picture")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = _backbone(alpha, input_size, weights)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    for units, rate in ((256, 0.4), (128, 0.3)):
        x = keras.layers.Dense(units, activation="relu", kernel_regularizer=keras.regularizers.L2(L2))(x)
        x = keras.layers.Dropout(rate)(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid", name="xy")(x), name="detector")


def widen(pictures: tf.Tensor) -> tf.Tensor:
    """Return pictures (n, s, s, 1 or 3) uint8 as the network wants them: (n, s, s, 3) float32."""
    return tf.broadcast_to(tf.cast(pictures, tf.float32), [*tf.unstack(tf.shape(pictures)[:3]), 3])


def losses(outputs: tf.Tensor, points: tf.Tensor, near: tf.Tensor, visible: tf.Tensor) -> tf.Tensor:
    """Return each sample's loss (n,): the mean squared error of x and y of the near instance."""
    del visible
    return tf.reduce_mean((_near(points, near) - outputs) ** 2, axis=-1)


def distances(outputs: tf.Tensor, points: tf.Tensor, near: tf.Tensor) -> tf.Tensor:
    """Return how far off the near instance is (n,), in fractions of the width."""
    return tf.norm(_near(points, near) - outputs, axis=-1)


def _near(points: tf.Tensor, near: tf.Tensor) -> tf.Tensor:
    return tf.gather(points, near, axis=1, batch_dims=1)


def synchronise_statistics(model: keras.Model) -> None:
    """Let BatchNorm that trains see the batch of all workers, so that their number does not change the training."""
    for layer in batch_norms(model.get_layer("backbone")):
        layer.synchronized = True


def freeze_backbone(model: keras.Model, frozen: bool, *, keep_statistics: bool = True) -> None:
    """Freeze or unfreeze the backbone.

    With `keep_statistics` its BatchNorm layers stay frozen either way and so run on the statistics they came
    with. In Keras 3 `training=False` at construction does not hold them: unfrozen they train, their moving
    statistics lag, and the validation error was 10.9 % of the width where 2.8 % is right.
    """
    backbone = model.get_layer("backbone")
    backbone.trainable = not frozen
    for layer in batch_norms(backbone):
        layer.trainable = not (frozen or keep_statistics)


def batch_norms(backbone: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the backbone's BatchNorm layers."""
    return [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]


def _backbone(alpha: float, input_size: int, weights: str) -> keras.Model:
    shape = (input_size, input_size, 3)
    known = None if weights == "none" or weights.endswith(".npz") else weights
    if known not in (None, "imagenet") and not Path(known).is_file():
        raise DataError(f"--weights {weights}: no such file; expected imagenet, none, or the path of an .h5 or .npz")
    try:
        backbone = keras.applications.MobileNetV2(
            input_shape=shape, alpha=alpha, include_top=False, weights=known, name="backbone"
        )
        if weights.endswith(".npz"):
            _assign(backbone, Path(weights))
        if weights == "none":
            for layer in batch_norms(backbone):
                layer.momentum = UNTRAINED_MOMENTUM
    except DataError:
        raise
    except Exception as error:  # Keras raises ValueError, OSError and plain Exception here
        raise DataError(
            f"--weights {weights}: cannot be used with alpha {alpha:g} ({str(error).splitlines()[0]})"
        ) from None
    return backbone


def _assign(backbone: keras.Model, path: Path) -> None:
    """Set the variables from an .npz of arrays by variable path."""
    if not path.is_file():
        raise DataError(f"--weights {path}: no such file")
    with np.load(path, allow_pickle=False) as arrays:
        for variable in backbone.weights:
            name = variable.path.removeprefix("backbone/")
            name = name if name in arrays else variable.path
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise DataError(f"--weights {path}: no array {name} of shape {tuple(variable.shape)}; another alpha?")
            variable.assign(arrays[name])
