"""The pipeline that `bench ingest` compares with our stream: tf.data on loose PNG files, on disk or in S3."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.runtime import storage
from jobs.bench.delivery import Arrivals, Delivery, measure_delivery
from jobs.workers.detector_samples import StreamPlan

FILE_READERS, OBJECT_READERS = 4, 16
"""Parallel readers; an object store takes far longer to answer than a disk."""


def tf_data_delivery(images: Sequence[str], plan: StreamPlan, num_batches: int) -> Delivery:
    """Measure the tf.data pipeline into one process that discards the batches."""
    return measure_delivery(lambda: [consume_tf_data.remote(images, plan, num_batches)])


@ray.remote(num_cpus=0, max_calls=1)
def consume_tf_data(images: Sequence[str], plan: StreamPlan, num_batches: int) -> Arrivals:
    """Return the arrivals of the first batches of the pipeline."""
    return [(time.time(), len(batch)) for batch in islice(tf_data(images, plan), num_batches)]


def tf_data(images: Sequence[str], plan: StreamPlan) -> Iterator[NDArray[np.float32]]:
    """Yield batches (n, s, s, 1) of the usual pipeline: shuffle URIs, read, decode, resize, mirror, batch, prefetch.

    Its images have one channel, as ours; each file is decoded twice, once for its mirror image.
    """
    import tensorflow as tf

    read, readers = (_s3_reader(tf), OBJECT_READERS) if storage.is_s3(images[0]) else (tf.io.read_file, FILE_READERS)

    def load(uri: Any, mirrored: Any) -> Any:
        image = tf.io.decode_png(read(uri), channels=1)
        image = tf.image.resize(image, (plan.input_size, plan.input_size), method="area")
        return tf.cond(mirrored, lambda: tf.image.flip_left_right(image), lambda: image)

    mirrored = [False] * len(images) + [True] * len(images)
    samples = tf.data.Dataset.from_tensor_slices(([*images, *images], mirrored))
    repeated = samples.repeat(plan.manifest.views["train"] // len(images))
    shuffled = repeated.shuffle(plan.shuffle_buffer, seed=plan.seed)
    decoded = shuffled.map(load, num_parallel_calls=readers)
    yield from decoded.batch(plan.batch_size, drop_remainder=True).prefetch(2).as_numpy_iterator()


def _s3_reader(tf: Any) -> Callable[[Any], Any]:
    """Return a TensorFlow function that reads an object by boto3, because TensorFlow cannot read S3."""
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", config=Config(max_pool_connections=OBJECT_READERS))

    def get(uri: bytes) -> bytes:
        bucket, _, key = uri.decode().removeprefix("s3://").partition("/")
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    return lambda uri: tf.ensure_shape(tf.numpy_function(get, [uri], tf.string), ())
