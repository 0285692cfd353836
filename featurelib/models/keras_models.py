"""Keras models that are trained, as functions. This module imports TensorFlow."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def load_model(content: bytes) -> keras.Model:
    """Return the model in a .keras file's content, without its optimizer; Keras reads only real files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def frozen_graph(model: keras.Model) -> Callable[[NDArray[np.number]], dict[str, NDArray[np.float32]]]:
    """Return the model as a function of batches (n, ...) whose weights are constants.

    TensorFlow folds BatchNorm into the convolutions then: as a graph of variables the detector takes half as long
    again. XLA made the graph of variables 13 times slower on CPUs.
    """
    forward, shape = constant_forward(model), model.input_shape[1:]
    channels = None if len(shape) == 3 else shape[-1]  # grey images are expanded on the device
    signature = [tf.TensorSpec((None, *shape[:-1], channels), tf.float32 if channels else tf.uint8)]

    def widened(inputs: tf.Tensor) -> Any:
        return forward(tf.broadcast_to(tf.cast(inputs, tf.float32), (tf.shape(inputs)[0], *shape)))

    graph = tf.function(widened, input_signature=signature)
    return lambda inputs: {name: output.numpy() for name, output in graph(inputs).items()}


def constant_forward(model: keras.Model) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return the model as a function to trace, with its present weights as constants; outputs have names."""
    variables = (model.trainable_variables, model.non_trainable_variables)
    values = [[variable.value.numpy() for variable in group] for group in variables]

    def forward(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        constants = [[tf.constant(value) for value in group] for group in values]
        outputs, _ = model.stateless_call(*constants, inputs, training=False)
        return outputs if isinstance(outputs, dict) else {"output": outputs}

    return forward
