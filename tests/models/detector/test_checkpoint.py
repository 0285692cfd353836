import csv
import io

import numpy as np
import tensorflow as tf

from featurelib.models.detector.checkpoint import Checkpoint, Epoch, epochs_of, metrics_csv
from featurelib.models.detector.metrics_log import tensorboard_events

ROWS = tuple(Epoch(i, "tune", 0.5 / (i + 1), 0.25, 3.0, error, 100.0, 1.5, 9.0) for i, error in enumerate((4, 2, 2)))
CONFIG = {"alpha": 0.35, "run": "a"}


def checkpoint() -> Checkpoint:
    rng = np.random.default_rng(0)
    arrays = [tuple(rng.normal(size=(i, 2)).astype(np.float32) for i in range(count)) for count in (12, 3, 11)]
    return Checkpoint(ROWS, *arrays)


def test_reading_returns_the_written_checkpoint():
    """Rows and arrays are equal to the bit, in their order."""
    before = checkpoint()

    after = Checkpoint.from_bytes(before.to_bytes(CONFIG), CONFIG)

    assert after.rows == before.rows
    assert after.next_epoch == 3
    for name in ("variables", "optimizer", "best"):
        pairs = zip(getattr(before, name), getattr(after, name), strict=True)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_a_checkpoint_of_another_training_is_ignored():
    """With another configuration there is no checkpoint."""
    assert Checkpoint.from_bytes(checkpoint().to_bytes(CONFIG), CONFIG | {"alpha": 1.0}) is None


def test_the_best_epoch_is_the_first_one_with_the_least_error():
    """A later epoch with an equal error is not better."""
    assert checkpoint().best_row.epoch == 1


def test_metrics_csv_has_a_row_per_epoch():
    """Its columns are the fields of an epoch."""
    rows = list(csv.DictReader(io.StringIO(metrics_csv(ROWS))))

    assert [{name: str(value) for name, value in row._asdict().items()} for row in ROWS] == rows
    assert epochs_of(metrics_csv(ROWS)) == list(ROWS)


def test_tensorboard_events_have_all_epochs(tmp_path):
    """TensorFlow's reader finds each epoch's loss and error in the event file."""
    path = tmp_path / "events.out.tfevents"
    path.write_bytes(tensorboard_events(ROWS))

    events = list(tf.compat.v1.train.summary_iterator(str(path)))

    assert events[0].file_version == "brain.Event:2"
    assert [event.step for event in events[1:]] == [1, 2, 3]
    values = [{value.tag: value.simple_value for value in event.summary.value} for event in events[1:]]
    assert [value["error_pct_of_width/validation"] for value in values] == [row.val_error_pct for row in ROWS]
    assert [value["loss/train"] for value in values] == [np.float32(row.loss) for row in ROWS]
