"""Rules on landmarks: on the surface, where the other objects have them, and visible from their side."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.landmark_files.placement import UNPLACED_SHARE
from featurelib.validation.dataset.finding import Finding, Severity, first_of
from featurelib.validation.dataset.measure import Labelled, Measurement
from featurelib.validation.dataset.survey import FAR_OFF_SHARE, Survey

ANOTHER_FRAME = 0.02
"""If the median distance from the surface exceeds this share of the size, labels and meshes differ in axes or unit."""

MISPLACED, MISPLACED_SHARE, WRONG_SHARE = 5.0, 0.02, 0.2
"""A landmark is misplaced if its distance from the others' median landmark exceeds this many times the median distance
and exceeds MISPLACED_SHARE of the size; beyond WRONG_SHARE it is an error. The farthest of 400 heads is at 2.7 medians,
of 60 synthetic busts at 2.1."""

MISPLACED_QUARTILE = 3.0
"""It must also exceed this many times the third quartile, up to WRONG_SHARE: landmarks on coarse meshes vary by steps,
so that many are much farther than the median."""

MOSTLY_OCCLUDED = 0.2
"""If a larger share of the objects hides a landmark, it cannot be seen from its side, and no single label is wrong."""


def unplaced_landmarks(survey: Survey) -> Iterator[Finding]:
    """Points at exactly 0, 0, 0 and off the surface, as programs write a point that was not placed."""
    for row, labels in survey.labelled:
        places = np.flatnonzero(_is_unplaced(row, labels))
        if places.size:
            named = _names(survey, places)
            message = f"its {named} is at 0, 0, 0; {_values(survey, labels.off_mm, places)} off the surface: not placed"
            yield Finding("unplaced", "error", row.object_id, message, f"label its {named}, or remove its row")


def landmarks_in_one_place(survey: Survey) -> Iterator[Finding]:
    """Objects with two landmarks at the same point."""
    for row, labels in survey.labelled:
        if row.object_id in survey.in_one_place:
            both = survey.in_one_place[row.object_id]
            apart_mm = np.linalg.norm(np.subtract(*labels.landmarks_mm[list(both)]))
            first, second = (survey.names[i] for i in both)
            message = f"{first} and {second} are {apart_mm:.3g} mm apart, on an object of {row.size_mm:.4g} mm"
            yield Finding("one-place", "error", row.object_id, message, "label one of the two again")


def copied_labels(survey: Survey) -> Iterator[Finding]:
    """Different meshes with exactly the same coordinates."""
    owners = defaultdict(list)
    for row, labels in survey.labelled:
        owners[labels.landmarks_mm.tobytes()].append(row)
    for first, *others in owners.values():
        for row in others:
            if row.sha256 != first.sha256:
                message = f"it has exactly the coordinates of {first.object_id}, but another mesh"
                yield Finding("copied-label", "error", row.object_id, message, "label one of the two again")


def labels_of_another_frame(survey: Survey) -> Iterator[Finding]:
    """Datasets in which most labels are off the surface."""
    if survey.labelled and (share := survey.typical_off.median) > ANOTHER_FRAME:
        median_mm = float(np.nanmedian([labels.off_mm for _, labels in survey.labelled]))
        message = (
            f"landmarks are {median_mm:.4g} mm off the surface in the median, {100 * share:.0f} % of the objects' size"
        )
        fix = "labels and meshes seem to be in different units or axes; export both from the same program"
        yield Finding("labels-frame", "error", None, message, fix)


def landmarks_off_the_surface(survey: Survey) -> Iterator[Finding]:
    """Landmarks that are off the surface of most objects."""
    if not survey.labelled or survey.typical_off.median > ANOTHER_FRAME:
        return
    for i in np.flatnonzero(survey.mostly_off).tolist():
        percent = 100 * np.nanmedian(survey.off_shares[:, i])
        message = f"{survey.names[i]} is {percent:.1f} % of the objects' size off the surface, in the median"
        yield Finding("off-surface", "warning", None, message, "fine for a point that is not on the surface")


def labels_off_the_surface(survey: Survey) -> Iterator[Finding]:
    """Landmarks outside or inside the surface, compared with the object's size and with the others' distances."""
    for row, labels in survey.labelled:
        places = np.flatnonzero(is_off(survey, row, labels) & ~_is_unplaced(row, labels) & ~survey.mostly_off)
        if places.size:
            percent = 100 * labels.off_mm[places].max() / row.size_mm
            message = (
                f"{_values(survey, labels.off_mm, places)} off the surface, {percent:.1f} % of its size; "
                f"the others' median is {100 * survey.typical_off.median:.2f} %"
            )
            severity: Severity = "error" if percent > 100 * FAR_OFF_SHARE else "warning"
            fix = f"label its {_names(survey, places)} again"
            if len(places) == labels.is_labelled.sum() > 1:
                fix += ", or correct its rows: are they in another unit, or those of another object?"
            yield Finding("off-surface", severity, row.object_id, message, fix)


def misplaced_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks far from the others' landmarks in the frame of the mean shape.

    What another rule explains is left out.
    """
    if survey.typical_landmarks is None:
        return
    away = {row.object_id: np.linalg.norm(mm - survey.typical_landmarks, axis=1) for row, mm in survey.fitted}
    typical, limits = _usual_shares(survey, np.array(list(away.values())))
    for row, labels in survey.labelled:
        if row.object_id not in away:
            continue
        shares = away[row.object_id]
        is_known = ~is_off(survey, row, labels) & ~is_explained(survey, row.object_id)
        places = np.flatnonzero((shares > limits) & is_known)
        if places.size:
            message = (
                f"{_values(survey, shares * row.size_mm, places)} from its place on the mean shape; the others' median "
                f"is {typical[places[0]] * row.size_mm:.3g} mm"
            )
            severity: Severity = "error" if shares[places].max() > WRONG_SHARE else "warning"
            fix = f"check its {_names(survey, places)}: is it another point?"
            yield Finding("misplaced", severity, row.object_id, message, fix)


def occluded_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks that the surface hides in the view from their side, or in all views if they have none."""
    if not survey.labelled:
        return
    is_hidden = np.array([labels.is_occluded for _, labels in survey.labelled])
    is_labelled = np.array([labels.is_labelled for _, labels in survey.labelled])
    shares = np.zeros(len(survey.names))
    for slot in survey.dataset.landmarks.slots:
        shares[slot] = is_hidden[:, slot].any(axis=1).sum() / max(1, is_labelled[:, slot].any(axis=1).sum())
    mostly = (shares > MOSTLY_OCCLUDED) & survey.has_spread
    if mostly.any():
        names = [survey.names[i] for i in np.flatnonzero(mostly).tolist()]
        message = (
            f"the surface hides {first_of(names)} in the view from its side, or in all views, in "
            f"{100 * shares[mostly].max():.0f} % of the objects"
        )
        fix = "fine for a landmark that cannot be seen from its side; a rig with other views may see it better"
        yield Finding("occluded", "note", None, message, fix)
    for row, labels in survey.labelled:
        is_known = ~is_off(survey, row, labels) & ~is_explained(survey, row.object_id) & ~mostly
        places = np.flatnonzero(labels.is_occluded & is_known)
        if places.size:
            named = _names(survey, places)
            has_side = all(survey.dataset.landmarks.sides[i] for i in places)
            message = f"the surface hides its {named} in {'the view from its side' if has_side else 'all views'}"
            yield Finding("occluded", "warning", row.object_id, message, f"check its {named}: is it on a wrong layer?")


def _usual_shares(survey: Survey, away: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median distance of each landmark (k,) from its place on the mean shape, and the largest usual one.

    The two of a pair are judged together. NaN if too few objects have a landmark.

    Args:
        survey: of the dataset.
        away: (n, k) the distances in units of the objects' sizes.
    """
    typical, quartile = np.full((2, away.shape[1]), np.nan)
    for slot in survey.dataset.landmarks.slots:
        values = away[:, np.unique(slot)]
        if np.isfinite(values).any():
            typical[slot], quartile[slot] = np.nanpercentile(values, [50, 75])
    limits = np.maximum(MISPLACED * typical, MISPLACED_SHARE)
    return typical, np.maximum(limits, np.minimum(MISPLACED_QUARTILE * quartile, WRONG_SHARE))


def is_off(survey: Survey, row: Measurement, labels: Labelled) -> NDArray[np.bool_]:
    """Return (k,) whether each landmark is off the surface."""
    return np.asarray(labels.off_mm > survey.off_limit * row.size_mm)


def _is_unplaced(row: Measurement, labels: Labelled) -> NDArray[np.bool_]:
    """Return (k,) whether each landmark is at 0, 0, 0 and off the surface."""
    return np.asarray((labels.landmarks_mm == 0).all(axis=1) & (labels.off_mm > UNPLACED_SHARE * row.size_mm))


def is_explained(survey: Survey, object_id: str) -> NDArray[np.bool_]:
    """Return (k,) whether another rule explains each landmark of an object."""
    explained = np.zeros(len(survey.names), dtype=bool)
    explained[survey.pairs[list(survey.swapped.get(object_id, ()))]] = True
    explained[list(survey.in_one_place.get(object_id, ()))] = True
    return explained | any(object_id in objects for objects in (survey.turned, survey.unlike, survey.with_strays))


def _names(survey: Survey, places: NDArray[np.intp]) -> str:
    return first_of([survey.names[i] for i in places], " and ")


def _values(survey: Survey, values_mm: NDArray[np.float64], places: NDArray[np.intp]) -> str:
    return first_of([f"{survey.names[i]} is {values_mm[i]:.3g} mm" for i in places], " and ")
