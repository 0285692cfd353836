"""Which detections of an object's views stand in its row."""

import numpy as np
import pytest

from featurelib.geometry import DEFAULT_RIG, LandmarkSet
from featurelib.models.lifter.vector_rows import vector_row

MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
"""k = 6 landmarks in s = 4 slots."""

NUM_VIEWS, K = len(DEFAULT_RIG), 6


def views_of(near, missing):
    """Return rows whose landmark k is at (k / 10, view / 10)."""
    xy = np.stack(np.broadcast_arrays(np.arange(K) / 10, np.arange(NUM_VIEWS)[:, None] / 10), axis=-1)
    xy[:, missing] = np.nan
    labels = {"landmarks_mm": list(range(3 * K)), "landmarks_absent": [False] * K, "centre_mm": [0.0, 0.0, 0.0]}
    about = {"object_id": "a", "split": "train", **labels}
    return [{**about, "view": i, "landmarks_xy": row.ravel().tolist(), "near": near} for i, row in enumerate(xy)]


def detections(spread=0.01):
    """Return positions, of landmark k in view i at (k, i) / 20, their spread and visibility."""
    xy = np.stack(np.broadcast_arrays(np.arange(K) / 20, np.arange(NUM_VIEWS)[:, None] / 20), axis=-1)
    numbers = np.full((NUM_VIEWS, K), spread, np.float32)
    return xy.astype(np.float32), numbers, numbers


def test_a_row_has_the_near_landmarks_slot_by_slot():
    """In each slot the positions of all views follow each other, detected and true."""
    row = vector_row(views_of([1, 0, 0, 0], []), *detections(), MIXED, DEFAULT_RIG)
    xy, xy_true = (np.reshape(row[name], (4, NUM_VIEWS, 2)) for name in ("xy", "xy_true"))

    for slot, landmark in enumerate((1, 2, 4, 5)):
        np.testing.assert_allclose(xy[slot, :, 0], landmark / 20)
        np.testing.assert_allclose(xy_true[slot, :, 0], landmark / 10)
        np.testing.assert_allclose(xy[slot, :, 1], np.arange(NUM_VIEWS) / 20)
    assert row["landmarks_xy"].shape == (2 * NUM_VIEWS * K,)


@pytest.mark.parametrize("missing", [2, 3])
def test_a_pair_without_both_labels_has_the_landmark_that_the_view_shows(missing):
    """Views of the right side have the right landmark; the true position is not known."""
    row = vector_row(views_of([0, -1, 0, 0], [missing]), *detections(), MIXED, DEFAULT_RIG)
    xy, xy_true = (np.reshape(row[name], (4, NUM_VIEWS, 2)) for name in ("xy", "xy_true"))

    shown = [3 if view.near_side == "right" else 2 for view in DEFAULT_RIG.views]
    np.testing.assert_allclose(xy[1, :, 0], np.array(shown) / 20)
    assert np.isnan(xy_true[1]).all()
    assert np.isfinite(xy_true[[0, 2, 3]]).all()


def test_positions_without_spread_are_of_near_landmarks_only():
    """With the regression head landmarks_xy is NaN, and xy is not."""
    row = vector_row(views_of([0, 0, 0, 0], []), *detections(spread=np.nan), MIXED, DEFAULT_RIG)

    assert np.isnan(row["landmarks_xy"]).all()
    assert np.isfinite(row["xy"]).all()
