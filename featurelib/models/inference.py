"""A trained network as a frozen graph: its weights are constants, so TensorFlow folds BatchNorm into the convolutions.

On one core the detector of alpha 0.35 at 128 px takes 1.0 ms per image; as a graph of variables it takes 1.6 ms, and
layer by layer 6 ms. The two networks of a refinement stage take 50 ms instead of 58 for 18 crops. XLA made the graph of
variables 13 times slower on CPUs.
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

IMAGES_PER_RUN = 4
"""Most images in one run of a graph, because more do not fit the caches. For 32 images of 224 px the detector of alpha
1.0 takes 430 ms of CPU in one run and 345 in runs of four. At 128 px, alpha 0.35 takes 38 ms in runs of 16 and 40 in
runs of four."""


def frozen_graph(model: keras.Model, channels: int | None, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the network with its present weights as a function of images (n, s, s, c) uint8, n > 0.

    Args:
        model: of images (n, s, s, 3).
        channels: c of the images; None allows 1 and 3. The graph expands grey to three channels.
        read: function of the model's outputs, part of the graph.
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
    """Return the outputs of a graph with several outputs for images (n, s, s, c), n > 0, run in chunks by threads.

    The number of threads is TF_NUM_INTEROP_THREADS. Threads that share a convolution wait for each other: on two cores
    nine images take 51 ms as chunks of five and four, and 76 ms as one. A GPU takes all images in one run.
    """
    chunks = 1 if tf.config.list_physical_devices("GPU") else num_chunks(len(images), _num_threads())
    results = list(_threads().map(graph, np.array_split(images, chunks)))
    return tuple(np.concatenate([np.asarray(chunk) for chunk in output]) for output in zip(*results, strict=True))


def num_chunks(images: int, threads: int) -> int:
    """Return the number of chunks of at most IMAGES_PER_RUN images that gives each thread equally many chunks."""
    return min(images, threads * ceil(images / (threads * IMAGES_PER_RUN)))


def _num_threads() -> int:
    return int(os.environ.get("TF_NUM_INTEROP_THREADS", 0)) or os.cpu_count() or 1


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="forward")
