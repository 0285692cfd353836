"""A trained network as one graph whose weights are constants: TensorFlow then folds BatchNorm into the convolutions.

On one core an image takes the detector of alpha 0.35 at 128 px 1.0 ms, as a graph of variables 1.6 ms and layer by
layer 6 ms; 18 crops take a stage's two networks 50 ms instead of 58. XLA made the graph of variables 13 times
slower on CPUs.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import ceil
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

PICTURES = 4
"""Of a run of a graph, at most: more fall out of the caches. 32 images of 224 px take the detector of alpha 1.0
430 ms of CPU at once and 345 in fours; those of 128 px take alpha 0.35 38 ms in 16s and 40 in fours."""


def frozen_graph(model: keras.Model, channels: int | None, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the network, with the weights that it has now, as a function of images (n, s, s, c) uint8, n > 0.

    Args:
        model: of images (n, s, s, 3).
        channels: c, of the images; None if they may have 1 or 3. Grey becomes three channels inside the graph.
        read: what becomes of the model's outputs within the graph.
    """
    size = model.input_shape[1]
    variables = (model.trainable_variables, model.non_trainable_variables)
    values = [[variable.value.numpy() for variable in group] for group in variables]

    def forward(images: tf.Tensor) -> Any:
        rgb = tf.broadcast_to(tf.cast(images, tf.float32), (tf.shape(images)[0], size, size, 3))
        constants = [[tf.constant(value) for value in group] for group in values]
        outputs, _ = model.stateless_call(*constants, rgb, training=False)
        return read(outputs)

    return tf.function(forward, input_signature=[tf.TensorSpec((None, size, size, channels), tf.uint8)])


def run_in_chunks(graph: Callable[[Any], Any], images: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
    """Return the outputs of a graph with several for images (n, s, s, c), n > 0; threads take a few images each.

    There are as many threads as TensorFlow runs branches of a graph side by side (TF_NUM_INTEROP_THREADS). Threads that
    share a convolution wait for each other: two cores took 76 ms for nine images, and take 51 when dealt five and
    four. A GPU is given all at once.
    """
    parts = 1 if tf.config.list_physical_devices("GPU") else num_parts(len(images), _num_threads())
    found = list(_threads().map(graph, np.array_split(images, parts)))
    return tuple(np.concatenate([np.asarray(part) for part in output]) for output in zip(*found, strict=True))


def num_parts(images: int, threads: int) -> int:
    """Return into how many parts of at most PICTURES so many are cut, so that every thread has as many to do."""
    return min(images, threads * ceil(images / (threads * PICTURES)))


def _num_threads() -> int:
    return int(os.environ.get("TF_NUM_INTEROP_THREADS", 0)) or os.cpu_count() or 1


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="forward")
