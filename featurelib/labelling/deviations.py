"""Deviations of labels: how far each is from where it should be, compared with what is usual for its landmark."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet
from featurelib.labelling.leave_one_out import can_be_moved, in_mean_frame, leave_one_out
from featurelib.meshes.shape import MIN_FOR_SPREAD

FLOOR = 0.002
"""Distances below this share of the labels' extent are usual, whatever the median is: 0.4 mm on a face."""

ONE_DIRECTION = 0.7
"""The pairs of all objects run in one direction if their median unit vector is at least this long."""

EXCHANGED = -0.5
"""The sides of an object are exchanged if the cosine between its pairs and the usual ones is below this."""

Array = NDArray[np.float64]


class Deviations(NamedTuple):
    """How far labels are from where one source has them.

    away_mm: (n, k), NaN where unknown. scores: (n, k) in units of what is usual. usual_mm: (k,) median distances.
    source: what the distance is from, in words.
    """

    away_mm: Array
    scores: Array
    usual_mm: Array
    source: str

    def words(self, i: int, landmark: int, name: str) -> str:
        """Return the distance of a label of object i in words."""
        return (
            f"{name} is {self.away_mm[i, landmark]:.3g} mm from {self.source}; "
            f"the median is {self.usual_mm[landmark]:.3g} mm"
        )


class Shape(NamedTuple):
    """The labels in a common frame and the places that the model gives them, both (n, k, 3), and the deviations."""

    points: Array
    places: Array
    deviations: Deviations


def shape_deviations(
    landmarks: LandmarkSet, labels_mm: Array, placed_mm: Array | None, floor_mm: float
) -> Shape | None:
    """Return what the objects' own other labels tell; None for a small set without its place on the mean shape."""
    is_enough = can_be_moved(labels_mm)
    points = in_mean_frame(labels_mm) if is_enough else placed_mm
    if points is None:
        return None
    source = "where its object's other landmarks have it" if is_enough else "its place on the mean shape"
    return _compared(landmarks, points, floor_mm, source, is_free=is_enough)


def prediction_deviations(
    landmarks: LandmarkSet, labels_mm: Array, predicted_mm: Array, sigma_mm: Array | None, floor_mm: float
) -> Deviations:
    """Return what predictions (n, k, 3) tell that have not seen the labels, with standard deviations (n, k) if known.

    What the errors of an object's landmarks share is left out: it is an error of the prediction.
    """
    relative = np.ones(predicted_mm.shape[:2]) if sigma_mm is None else sigma_mm / np.nanmedian(sigma_mm)
    errors_mm = (labels_mm - predicted_mm) / relative[..., None]
    return _compared(landmarks, errors_mm, floor_mm, "where a model that has not seen it has it").deviations


def surface_deviations(off_mm: Array, floor_mm: float) -> Deviations:
    """Return what the distances (n, k) of the labels from their objects' surfaces tell."""
    usual_mm = _medians(off_mm)
    return Deviations(off_mm, off_mm / np.maximum(usual_mm, floor_mm), usual_mm, "the surface")


def floor_of(labels_mm: Array) -> float:
    """Return the distance in mm below which no label (n, k, 3) is suspicious."""
    extents_mm = np.linalg.norm(_ignoring_nan(np.nanmax, labels_mm, 1) - _ignoring_nan(np.nanmin, labels_mm, 1), axis=1)
    return max(FLOOR * float(np.nanmedian(extents_mm)), 1e-9)


def pairs_of(landmarks: LandmarkSet) -> NDArray[np.intp]:
    """Return (p, 2) the left and right landmarks of the pairs; none if a mirrored object has the same names."""
    return landmarks.slots[: len(landmarks.pairs) * (landmarks.mirror != "same")]


def exchanged_sides(landmarks: LandmarkSet, points: Array) -> NDArray[np.bool_]:
    """Return (n,) whether the left and right labels (n, k, 3) of an object are exchanged, of all its pairs or most.

    None is if a mirrored object has the same names, or if the objects' axes differ.
    """
    pairs = pairs_of(landmarks)
    across = points[:, pairs[:, 0]] - points[:, pairs[:, 1]]
    lengths = np.linalg.norm(across, axis=2, keepdims=True)
    usual = _ignoring_nan(np.nanmedian, across / np.maximum(lengths, 1e-12), 0)
    is_usual = np.linalg.norm(usual, axis=1) > ONE_DIRECTION
    cosines, weights = np.nansum(across * usual, axis=2)[:, is_usual], np.nan_to_num(lengths[:, is_usual, 0])
    return np.asarray(cosines.sum(axis=1) < EXCHANGED * weights.sum(axis=1))


def _compared(landmarks: LandmarkSet, points: Array, floor_mm: float, source: str, *, is_free: bool = False) -> Shape:
    """Return the places and the deviations that landmarks give each other; NaN for those on too few objects."""
    enough = np.isfinite(points).all(axis=2).sum(axis=0) >= MIN_FOR_SPREAD
    places, scores = np.full_like(points, np.nan), np.full(points.shape[:2], np.nan)
    if enough.any():
        places[:, enough], scores[:, enough] = leave_one_out(
            points[:, enough], landmarks.slot_of[enough], is_free=is_free
        )
    away_mm = np.linalg.norm(points - places, axis=2)
    scores = np.minimum(scores, away_mm / floor_mm)
    return Shape(points, places, Deviations(away_mm, scores, _medians(away_mm), source))


def _medians(values: Array) -> Array:
    """Return the medians (k,) of values (n, k) without NaN."""
    return _ignoring_nan(np.nanmedian, values, 0)


def _ignoring_nan(statistic: Callable[..., Array], values: Array, axis: int) -> Array:
    """Return a statistic along an axis; NaN where all values are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(statistic(values, axis=axis))
