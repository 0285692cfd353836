"""Labels that are probably mistakes: sides or names swapped, misplaced, or marks of another object.

Three things tell where a label should be: the object's other landmarks, predictions by models that have not seen the
object, and the object's own surface. A label is as suspicious as the worst of them has it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from featurelib.geometry import LandmarkSet
from featurelib.labelling.deviations import (
    Deviations,
    Shape,
    exchanged_sides,
    floor_of,
    pairs_of,
    prediction_deviations,
    shape_deviations,
    surface_deviations,
)
from featurelib.labelling.leave_one_out import LIMIT
from featurelib.meshes.shape import MIN_FOR_SPREAD

SIDES_SWAPPED, NAMES_SWAPPED = "sides swapped", "names swapped"
MISPLACED, ANOTHER_OBJECT = "misplaced", "another object"

FITS = 0.5
"""Two labels are exchanged if this shortens their distances from their places to less than this share."""

FOREIGN = 0.5
"""If more than this share of an object's labels, and more than one, are misplaced, they are those of another object."""

Array = NDArray[np.float64]


class Suspect(NamedTuple):
    """A label that is probably a mistake; with landmark None, all labels of an object.

    kind: `sides swapped`, `names swapped`, `misplaced` or `another object`.
    score: distance from where the label should be, in units of what is usual for the landmark.
    reason: in words, with numbers.
    """

    object_id: str
    landmark: str | None
    kind: str
    score: float
    reason: str


def suspects(
    landmarks: LandmarkSet,
    object_ids: Sequence[str],
    labels_mm: Array,
    predicted_mm: Array | None = None,
    sigma_mm: Array | None = None,
    *,
    placed_mm: Array | None = None,
    off_mm: Array | None = None,
) -> list[Suspect]:
    """Return the labels that are far from where they should be, worst first; none with fewer than eight objects.

    Args:
        landmarks: the set, of k landmarks.
        object_ids: of the n objects.
        labels_mm: (n, k, 3) in the object frame, NaN where there is no label.
        predicted_mm: (n, k, 3) answers by models that have not seen the object, NaN where there is none.
        sigma_mm: (n, k) their standard deviations; equal if not given.
        placed_mm: (n, k, 3) the labels in the frame of the registered mean shape. A set of fewer than four landmarks
            has no other evidence of its shape.
        off_mm: (n, k) distances of the labels from their object's surface.
    """
    if len(object_ids) < MIN_FOR_SPREAD:
        return []
    floor_mm, order = floor_of(labels_mm), np.arange(len(landmarks.names))
    order[pairs_of(landmarks)] = pairs_of(landmarks)[:, ::-1]
    is_exchanged = exchanged_sides(landmarks, labels_mm if placed_mm is None else placed_mm)
    own_mm = np.where(_along(is_exchanged, labels_mm), labels_mm[:, order], labels_mm)
    placed, off = (
        values if values is None else np.where(_along(is_exchanged, values), values[:, order], values)
        for values in (placed_mm, off_mm)
    )
    shape = shape_deviations(landmarks, own_mm, placed, floor_mm)
    deviations = [] if shape is None else [shape.deviations]
    if predicted_mm is not None:
        answers_mm = np.where(_along(is_exchanged, predicted_mm), np.nan, predicted_mm)
        deviations.append(prediction_deviations(landmarks, own_mm, answers_mm, sigma_mm, floor_mm))
    if off is not None:
        deviations.append(surface_deviations(off, floor_mm))
    found = [
        _sides_swapped(landmarks, object_ids[i], labels_mm[i], floor_mm) for i in np.flatnonzero(is_exchanged).tolist()
    ]
    for i in np.flatnonzero(~is_exchanged).tolist() if deviations else ():
        found += _of_object(landmarks, object_ids[i], i, deviations, shape)
    return sorted(found, key=lambda suspect: -suspect.score)


def _of_object(
    landmarks: LandmarkSet, object_id: str, i: int, deviations: Sequence[Deviations], shape: Shape | None
) -> list[Suspect]:
    """Return the suspects among the labels of one object."""
    all_scores = np.nan_to_num([each.scores[i] for each in deviations])
    scores, worst = all_scores.max(axis=0), all_scores.argmax(axis=0)
    wrong = np.flatnonzero(scores > LIMIT)
    words = {k: deviations[worst[k]].words(i, k, landmarks.names[k]) for k in wrong.tolist()}
    partners = {} if shape is None else exchanged_names(shape.points[i], shape.places[i], wrong)
    alone = [k for k in words if k not in partners]
    if len(alone) > max(1, FOREIGN * np.isfinite(all_scores).any(axis=0).sum()):
        far = max(alone, key=lambda k: scores[k])
        reason = f"{len(alone)} of its landmarks are not where they should be: {words[far]}"
        return [Suspect(object_id, None, ANOTHER_OBJECT, float(np.median(scores[alone])), reason)]
    return [
        *(_exchanged(landmarks, object_id, shape, i, a, b, scores) for a, b in partners.items() if shape is not None),
        *(Suspect(object_id, landmarks.names[k], MISPLACED, float(scores[k]), words[k]) for k in alone),
    ]


def exchanged_names(points: Array, places: Array, wrong: NDArray[np.intp]) -> dict[int, int]:
    """Return the landmarks, among those that are wrong, whose labels are in each other's places.

    Args:
        points: (k, 3) labels of an object.
        places: (k, 3) where they should be.
        wrong: indices of the landmarks that are far from their places.
    """
    wrong = wrong[np.isfinite(points[wrong] + places[wrong]).all(axis=1)]
    away = np.linalg.norm(points[wrong][:, None] - places[wrong], axis=2)
    best = linear_sum_assignment(away)[1]
    return {
        int(wrong[a]): int(wrong[b])
        for a, b in enumerate(best)
        if a != b and best[b] == a and away[a, b] + away[b, a] < FITS * (away[a, a] + away[b, b])
    }


def _exchanged(landmarks: LandmarkSet, object_id: str, shape: Shape, i: int, a: int, b: int, scores: Array) -> Suspect:
    """Return the suspect a, which is exchanged with b."""
    away_mm = np.linalg.norm(shape.points[i, a] - shape.places[i, [a, b]], axis=1)
    first, second = landmarks.names[a], landmarks.names[b]
    kind = SIDES_SWAPPED if landmarks.slot_of[a] == landmarks.slot_of[b] else NAMES_SWAPPED
    reason = f"{first} is {away_mm[0]:.3g} mm from its place and {away_mm[1]:.3g} mm from that of {second}"
    return Suspect(object_id, first, kind, float(max(scores[a], scores[b])), reason)


def _sides_swapped(landmarks: LandmarkSet, object_id: str, labels_mm: Array, floor_mm: float) -> Suspect:
    """Return the suspect whose left and right labels are exchanged."""
    left, right = labels_mm[landmarks.slots[: len(landmarks.pairs)].T]
    apart_mm = np.linalg.norm(left - right, axis=1)
    reason = f"left and right are exchanged, compared with the others: up to {np.nanmax(apart_mm):.3g} mm"
    return Suspect(object_id, None, SIDES_SWAPPED, float(np.nanmax(apart_mm)) / floor_mm, reason)


def _along(chosen: NDArray[np.bool_], values: Array) -> NDArray[np.bool_]:
    """Return chosen (n,) with as many axes as the values (n, ...) of the same objects."""
    return chosen.reshape(-1, *[1] * (values.ndim - 1))
