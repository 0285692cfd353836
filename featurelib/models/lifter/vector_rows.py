"""A row of a run's vectors: the labels of an object and the detections in its views."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import SIDES, LandmarkSet, Rig
from featurelib.models.detector.samples import near_landmarks

COLUMNS = (
    *("object_id", "split", "view", "landmarks_xy", "near"),
    *("landmarks_mm", "landmarks_absent", "centre_mm"),
)
"""The columns of a view's row that a row of the vectors needs."""


def vector_row(
    views: Sequence[Mapping[str, Any]],
    xy: NDArray[np.float32],
    spread: NDArray[np.float32],
    visible: NDArray[np.float32],
    landmarks: LandmarkSet,
    rig: Rig,
) -> dict[str, Any]:
    """Return the row of schemas.vectors_schema of one object.

    Args:
        views: rows with COLUMNS, of all v views in rig order.
        xy: (v, k, 2) detected positions.
        spread: (v, k) of their maps; NaN if the detector finds only near landmarks.
        visible: (v, k) probabilities.
        landmarks: the set.
        rig: of the views.
    """
    true_xy = np.array([view["landmarks_xy"] for view in views], np.float32).reshape(xy.shape)
    labelled, first = near_landmarks(np.array([view["near"] for view in views]), landmarks), views[0]
    near = np.where(labelled < 0, _in_view(rig, landmarks), labelled)
    values = {
        "xy": _by_slot(xy, near),
        "xy_true": np.where(labelled.T[..., None] < 0, np.nan, _by_slot(true_xy, near)),
        "landmarks_xy": xy if np.isfinite(spread).all() else np.full_like(xy, np.nan),
        "landmarks_spread": spread,
        "landmarks_visible": visible,
    }
    return {
        **{name: first[name] for name in ("object_id", "split", "centre_mm")},
        "target_mm": first["landmarks_mm"],
        "absent": first["landmarks_absent"],
        **{name: array.ravel().astype(np.float32) for name, array in values.items()},
    }


def _in_view(rig: Rig, landmarks: LandmarkSet) -> NDArray[np.intp]:
    """Return the landmark of each slot that each view shows (v, s), by its index; in a front view the left one."""
    sides = [SIDES.index(view.near_side or SIDES[0]) for view in rig.views]
    return landmarks.slots.T[sides]


def _by_slot(values: NDArray[np.float32], near: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the values (s, v, 2) of the near landmarks (v, s) among values (v, k, 2)."""
    return np.take_along_axis(values, near[..., None], axis=1).swapaxes(0, 1)
