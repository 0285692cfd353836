"""Rules on landmarks: on the surface, where the other objects have them, and visible from their side."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.landmark_files.placement import UNPLACED_SHARE
from featurelib.geometry import SIDES
from featurelib.validation.dataset.finding import Finding, Severity
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
        sides = np.flatnonzero(_is_unplaced(row, labels))
        if sides.size:
            message = f"its {_names(sides)} is at 0, 0, 0; {_values(labels.off_mm, sides)} off the surface: not placed"
            yield Finding("unplaced", "error", row.object_id, message, f"label its {_names(sides)}, or remove its row")


def landmarks_in_one_place(survey: Survey) -> Iterator[Finding]:
    """Objects whose left and right are the same point."""
    for row, labels in survey.labelled:
        if row.object_id in survey.in_one_place:
            message = f"left and right are {labels.apart_mm:.3g} mm apart, on an object of {row.size_mm:.4g} mm"
            yield Finding("one-place", "error", row.object_id, message, "label the other side")


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
        median_mm = float(np.median([labels.off_mm for _, labels in survey.labelled]))
        message = (
            f"landmarks are {median_mm:.4g} mm off the surface in the median, {100 * share:.0f} % of the objects' size"
        )
        fix = "labels and meshes seem to be in different units or axes; export both from the same program"
        yield Finding("labels-frame", "error", None, message, fix)


def labels_off_the_surface(survey: Survey) -> Iterator[Finding]:
    """Landmarks outside or inside the surface, compared with the object's size and with the others' distances."""
    for row, labels in survey.labelled:
        sides = np.flatnonzero(_is_off(survey, row, labels) & ~_is_unplaced(row, labels))
        if sides.size:
            percent = 100 * labels.off_mm[sides].max() / row.size_mm
            message = (
                f"{_values(labels.off_mm, sides)} off the surface, {percent:.1f} % of its size; "
                f"the others' median is {100 * survey.typical_off.median:.2f} %"
            )
            severity: Severity = "error" if percent > 100 * FAR_OFF_SHARE else "warning"
            fix = f"label its {_names(sides)} again"
            if len(sides) == 2:
                fix += ", or correct its row: is it in another unit, or the row of another object?"
            yield Finding("off-surface", severity, row.object_id, message, fix)


def misplaced_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks far from the others' landmarks in the frame of the mean shape.

    Objects that another rule explains are left out.
    """
    if survey.typical_pair is None:
        return
    away = {row.object_id: np.linalg.norm(pair - survey.typical_pair, axis=1) for row, pair in survey.fitted}
    typical, quartile = np.percentile(list(away.values()), [50, 75])
    limit = max(MISPLACED * typical, MISPLACED_SHARE, min(MISPLACED_QUARTILE * quartile, WRONG_SHARE))
    for row, labels in survey.labelled:
        if row.object_id not in away or _is_explained(survey, row.object_id):
            continue
        shares = away[row.object_id]
        sides = np.flatnonzero((shares > limit) & ~_is_off(survey, row, labels))
        if sides.size:
            message = (
                f"{_values(shares * row.size_mm, sides)} from its place on the mean shape; the others' median is "
                f"{typical * row.size_mm:.3g} mm"
            )
            severity: Severity = "error" if shares[sides].max() > WRONG_SHARE else "warning"
            fix = f"check its {_names(sides)}: is it another point?"
            yield Finding("misplaced", severity, row.object_id, message, fix)


def occluded_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks that the surface hides in the view from their side."""
    count = sum(bool(labels.is_occluded.any()) for _, labels in survey.labelled)
    share = count / max(1, len(survey.labelled))
    if share > MOSTLY_OCCLUDED and survey.has_spread:
        message = f"the surface hides a landmark in the view from its side in {100 * share:.0f} % of the objects"
        fix = "fine for a landmark that cannot be seen from its side; a rig with other views may see it better"
        yield Finding("occluded", "note", None, message, fix)
        return
    for row, labels in survey.labelled:
        sides = np.flatnonzero(labels.is_occluded & ~_is_off(survey, row, labels))
        if sides.size and not _is_explained(survey, row.object_id):
            message = f"the surface hides its {_names(sides)} in the view from its side"
            yield Finding(
                "occluded", "warning", row.object_id, message, f"check its {_names(sides)}: is it on a wrong layer?"
            )


def left_out(survey: Survey) -> Iterator[Finding]:
    """Rules that could not be applied."""
    if not survey.is_labelled:
        message = "no landmarks.csv: the rules on labels and splits were skipped"
        yield Finding("labels", "note", None, message, "fine for `predict` and `serve`; training needs labels")
    if survey.measured and not survey.has_spread:
        message = (
            f"only {len(survey.measured)} objects: none was compared with the others' size, axes, shape and labels"
        )
        yield Finding("spread", "note", None, message, "check the contact sheet yourself")


def _is_off(survey: Survey, row: Measurement, labels: Labelled) -> NDArray[np.bool_]:
    """Return (2,) whether left and right are off the surface."""
    return np.asarray(labels.off_mm > survey.off_limit * row.size_mm)


def _is_unplaced(row: Measurement, labels: Labelled) -> NDArray[np.bool_]:
    """Return (2,) whether left and right are at 0, 0, 0 and off the surface."""
    return np.asarray((labels.landmarks_mm == 0).all(axis=1) & (labels.off_mm > UNPLACED_SHARE * row.size_mm))


def _is_explained(survey: Survey, object_id: str) -> bool:
    explained = (survey.turned, survey.swapped, survey.unlike, survey.in_one_place, survey.with_strays)
    return any(object_id in objects for objects in explained)


def _names(sides: NDArray[np.intp]) -> str:
    return " and ".join(SIDES[side] for side in sides)


def _values(values_mm: NDArray[np.float64], sides: NDArray[np.intp]) -> str:
    return " and ".join(f"{SIDES[side]} is {values_mm[side]:.3g} mm" for side in sides)
