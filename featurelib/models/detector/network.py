"""The detector's network: MobileNetV2 and a head. Inputs are images of 0 to 255; the network scales them."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from featurelib.errors import DataError, UsageError
from featurelib.geometry import LandmarkSet
from featurelib.models.detector.heads import HEADS

ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
UNTRAINED_MOMENTUM = 0.9
"""Momentum of BatchNorm's moving statistics for an untrained backbone. MobileNetV2's 0.999 is for 100,000 steps: after
1,400 steps the error was 7 % of the width in training and 25 % in validation, which uses the lagging statistics."""


def build_detector(
    landmarks: LandmarkSet,
    *,
    head: str = "heatmap",
    alpha: float = 0.35,
    input_size: int = 128,
    weights: str = "imagenet",
) -> keras.Model:
    """Return an untrained detector, from images (n, s, s, 3) of 0 to 255 to its head's outputs.

    Args:
        landmarks: what to find.
        head: one of HEADS; defines the outputs.
        alpha: MobileNetV2's width (Sandler et al. 2018, https://arxiv.org/abs/1801.04381), one of ALPHAS.
        input_size: s, in pixels; a multiple of 32.
        weights: of the backbone: `imagenet` (Keras downloads them), `none`, or the path of a Keras .h5 without top or
            of an .npz with arrays by variable path.

    Raises:
        UsageError: if head, alpha or input_size has another value.
        DataError: if the weights are missing or do not fit.
    """
    if head not in HEADS:
        raise UsageError(f"--head {head}: expected one of {', '.join(HEADS)}")
    if alpha not in ALPHAS:
        raise UsageError(f"--alpha {alpha:g}: expected one of {', '.join(f'{a:g}' for a in ALPHAS)}")
    if input_size % 32 or input_size < 32:
        raise UsageError(f"--input-size {input_size}: expected a multiple of 32 pixels")
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    return keras.Model(inputs, HEADS[head].attach(_backbone(alpha, input_size, weights), x, landmarks), name="detector")


def widen(images: tf.Tensor) -> tf.Tensor:
    """Return images (n, s, s, 1 or 3) uint8 as the network's input: (n, s, s, 3) float32."""
    return tf.broadcast_to(tf.cast(images, tf.float32), [*tf.unstack(tf.shape(images)[:3]), 3])


def synchronise_statistics(model: keras.Model) -> None:
    """Let BatchNorm use the batch of all workers, so that their number does not change the training."""
    for layer in batch_norms(model.get_layer("backbone")):
        layer.synchronized = True


def freeze_backbone(model: keras.Model, frozen: bool, *, keep_statistics: bool = True, to: str | None = None) -> None:
    """Freeze or unfreeze the backbone; its layers up to and including `to` stay frozen.

    With `keep_statistics` its BatchNorm layers stay frozen and use the statistics that they were loaded with. In Keras
    3, `training=False` at construction does not prevent their training: their moving statistics then lag, and the
    validation error was 10.9 instead of 2.8 % of the width.
    """
    backbone = model.get_layer("backbone")
    backbone.trainable = not frozen
    for layer in batch_norms(backbone):
        layer.trainable = not (frozen or keep_statistics)
    names = [layer.name for layer in backbone.layers]
    for layer in backbone.layers[: names.index(to) + 1 if to else 0]:
        layer.trainable = False


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
    except Exception as error:  # noqa: BLE001 (Keras raises ValueError, OSError and plain Exception)
        fix = "give --weights PATH, or --weights none for an untrained backbone"
        raise DataError(
            f"--weights {weights}: cannot be used with alpha {alpha:g} ({str(error).splitlines()[0]}); {fix}"
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
