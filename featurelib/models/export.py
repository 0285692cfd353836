"""Keras models as trained networks, in the formats of both devices. This module imports TensorFlow."""

import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from featurelib.models.inference import Network
from featurelib.models.keras_models import constant_forward


def export_network(model: keras.Model) -> Network:
    """Return a model with its present weights as a trained network, without its optimizer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return Network(path.read_bytes(), _litert(model))


def _litert(model: keras.Model) -> bytes:
    """Return the model as a LiteRT file for one input; conversion takes 1.5 s of CPU."""
    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="inputs")]
    function = tf.function(constant_forward(model), input_signature=signature).get_concrete_function()
    content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert()
    return content
