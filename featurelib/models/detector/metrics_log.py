"""The metrics of a training as a TensorBoard event file."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from featurelib.models.detector.checkpoint import Epoch

TAGS = {
    "loss": "loss/train",
    "val_loss": "loss/validation",
    "error_pct": "error_pct_of_width/train",
    "val_error_pct": "error_pct_of_width/validation",
    "images_per_s": "speed/images_per_s",
    "wait_pct": "speed/wait_pct",
}


def tensorboard_events(rows: Sequence[Epoch]) -> bytes:
    """Return an event file with all epochs; each epoch replaces the file.

    The file is a TFRecord file of TensorFlow's Event messages (tensorflow/core/util/event.proto), the first with the
    version. `tf.summary` is not used, since it needs TensorBoard. Steps are epochs, from 1.
    """
    now, summary = time.time(), tf.compat.v1.Summary
    events = [tf.compat.v1.Event(wall_time=now, file_version="brain.Event:2")]
    for row in rows:
        values = [summary.Value(tag=tag, simple_value=getattr(row, name)) for name, tag in TAGS.items()]
        events.append(tf.compat.v1.Event(wall_time=now, step=row.epoch + 1, summary=summary(value=values)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for event in events:
                writer.write(event.SerializeToString())
        return path.read_bytes()
