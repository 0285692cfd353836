import csv
import io

import numpy as np
import tensorflow as tf

from featurelib.models.detector.checkpoint import Checkpoint, Epoch, metrics_csv
from featurelib.models.detector.metrics_log import tensorboard_events

ROWS = tuple(Epoch(i, "tune", 0.5 / (i + 1), 0.25, 3.0, error, 100.0, 1.5, 9.0) for i, error in enumerate((4, 2, 2)))
CONFIG = {"alpha": 0.35, "run": "a"}


def checkpoint() -> Checkpoint:
    rng = np.random.default_rng(0)
    arrays = [tuple(rng.normal(size=(i, 2)).astype(np.float32) for i in range(count)) for count in (12, 3, 11)]
    return Checkpoint(ROWS, *arrays)


def test_a_checkpoint_comes_back_as_it_was():
    """Rows and arrays survive the file, in their order and to the bit."""
    before = checkpoint()

    after = Checkpoint.from_bytes(before.to_bytes(CONFIG), CONFIG)

    assert after.rows == before.rows
    assert after.next_epoch == 3
    for name in ("variables", "optimizer", "best"):
        pairs = zip(getattr(before, name), getattr(after, name), strict=True)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_a_checkpoint_of_another_training_is_not_taken():
    """Another configuration begins anew."""
    assert Checkpoint.from_bytes(checkpoint().to_bytes(CONFIG), CONFIG | {"alpha": 1.0}) is None


def test_the_best_epoch_is_the_first_of_the_least_error():
    """A later epoch must be better, not as good."""
    assert checkpoint().best_row.epoch == 1


def test_the_curve_is_a_table():
    """metrics.csv has a row an epoch with its values by name."""
    rows = list(csv.DictReader(io.StringIO(metrics_csv(ROWS))))

    assert [{name: str(value) for name, value in row._asdict().items()} for row in ROWS] == rows


def test_tensorboard_reads_the_curve(tmp_path):
    """TensorFlow's own reader finds every epoch's loss and error in the event file."""
    path = tmp_path / "events.out.tfevents"
    path.write_bytes(tensorboard_events(ROWS))

    events = list(tf.compat.v1.train.summary_iterator(str(path)))

    assert events[0].file_version == "brain.Event:2"
    assert [event.step for event in events[1:]] == [1, 2, 3]
    values = [{value.tag: value.simple_value for value in event.summary.value} for event in events[1:]]
    assert [value["error_pct_of_width/validation"] for value in values] == [row.val_error_pct for row in ROWS]
    assert [value["loss/train"] for value in values] == [np.float32(row.loss) for row in ROWS]
