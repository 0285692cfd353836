"""Rules on landmarks: on the surface, where the others have them, and seen from their own side."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import SIDES
from featurelib.validation.dataset.finding import Finding, Severity
from featurelib.validation.dataset.measure import Labelled, Measurement
from featurelib.validation.dataset.survey import Survey

FAR_OFF_SHARE = 0.05
"""A landmark off the surface by more than this share of the size (20 mm of a head) is wrong, not just inexact."""

ANOTHER_FRAME = 0.02
"""If most labels are off the surface by this share of the size, they are in other axes or units than the meshes."""

MISPLACED, MISPLACED_SHARE, WRONG_SHARE = 5.0, 0.02, 0.2
"""A landmark is odd if it lies this many times the median distance, and the first share of the size, from where the
others have theirs; beyond the second share it is wrong. The farthest of 400 heads lies 2.7 medians off, of 60
synthetic busts 2.1."""

MOSTLY_HIDDEN = 0.2
"""If so many objects hide it, the landmark is one that the side does not see, and no single label is to blame."""


def landmarks_in_one_place(survey: Survey) -> Iterator[Finding]:
    """Objects whose left and right are the same point."""
    for row, labels in survey.labelled:
        if row.object_id in survey.in_one_place:
            says = f"left and right are {labels.apart_mm:.3g} mm apart, on an object of {row.size_mm:.4g} mm"
            yield Finding("one-place", "error", row.object_id, says, "label the other side")


def copied_labels(survey: Survey) -> Iterator[Finding]:
    """Different meshes with the very same coordinates."""
    owners = defaultdict(list)
    for row, labels in survey.labelled:
        owners[labels.pair_mm.tobytes()].append(row)
    for first, *others in owners.values():
        for row in others:
            if row.sha256 != first.sha256:
                says = f"it has the very coordinates of {first.object_id}, but another mesh"
                yield Finding("copied-label", "error", row.object_id, says, "label one of the two again")


def labels_of_another_frame(survey: Survey) -> Iterator[Finding]:
    """Whether the labels are on the surface at all in most objects."""
    if survey.labelled and (share := survey.typical_off.median) > ANOTHER_FRAME:
        median_mm = float(np.median([labels.off_mm for _, labels in survey.labelled]))
        says = (
            f"landmarks are {median_mm:.4g} mm off the surface in the median, {100 * share:.0f} % of the objects' size"
        )
        fix = "labels and meshes seem to be in different units or axes; export both from the same program"
        yield Finding("labels-frame", "error", None, says, fix)


def labels_off_the_surface(survey: Survey) -> Iterator[Finding]:
    """Landmarks in the air or inside, measured by the object's size and by how far off the others are."""
    for row, labels in survey.labelled:
        sides = np.flatnonzero(_is_off(survey, row, labels))
        if sides.size:
            percent = 100 * labels.off_mm[sides].max() / row.size_mm
            says = (
                f"{_values(labels.off_mm, sides)} off the surface, {percent:.1f} % of its size; "
                f"the others' median is {100 * survey.typical_off.median:.2f} %"
            )
            severity: Severity = "error" if percent > 100 * FAR_OFF_SHARE else "warning"
            fix = f"label its {_names(sides)} again"
            if len(sides) == 2:
                fix += ", or correct its row: is it in another unit, or of another object?"
            yield Finding("off-surface", severity, row.object_id, says, fix)


def misplaced_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks far from where the others have theirs, once the mean shape is laid on the object.

    What another rule has explained already is left out.
    """
    if survey.typical_pair is None:
        return
    away = {row.object_id: np.linalg.norm(pair - survey.typical_pair, axis=1) for row, pair in survey.fitted}
    typical = np.median(list(away.values()))
    limit = max(MISPLACED * typical, MISPLACED_SHARE)
    for row, labels in survey.labelled:
        if row.object_id not in away or _is_explained(survey, row.object_id):
            continue
        shares = away[row.object_id]
        sides = np.flatnonzero((shares > limit) & ~_is_off(survey, row, labels))
        if sides.size:
            says = (
                f"{_values(shares * row.size_mm, sides)} from where the mean shape has it; the others' median is "
                f"{typical * row.size_mm:.3g} mm"
            )
            severity: Severity = "error" if shares[sides].max() > WRONG_SHARE else "warning"
            fix = f"look at its {_names(sides)}: another point?"
            yield Finding("misplaced", severity, row.object_id, says, fix)


def occluded_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks that the surface hides from their own side."""
    count = sum(bool(labels.is_occluded.any()) for _, labels in survey.labelled)
    share = count / max(1, len(survey.labelled))
    if share > MOSTLY_HIDDEN and survey.has_spread:
        says = f"the surface hides a landmark from its own side in {100 * share:.0f} % of the objects"
        fix = "fine for a landmark that the side does not see; a rig with other views may see it better"
        yield Finding("occluded", "note", None, says, fix)
        return
    for row, labels in survey.labelled:
        sides = np.flatnonzero(labels.is_occluded & ~_is_off(survey, row, labels))
        if sides.size and not _is_explained(survey, row.object_id):
            says = f"the surface hides its {_names(sides)}, seen from its own side"
            yield Finding("occluded", "warning", row.object_id, says, f"look at its {_names(sides)}: on a wrong layer?")


def left_out(survey: Survey) -> Iterator[Finding]:
    """Which rules could not be applied."""
    if not survey.is_labelled:
        says = "no landmarks.csv: the rules on labels and on the split were left out"
        yield Finding("labels", "note", None, says, "fine for `predict` and `serve`; training needs it")
    if survey.measured and not survey.has_spread:
        says = f"only {len(survey.measured)} objects: none was judged by the others' size, axes, shape and labels"
        yield Finding("spread", "note", None, says, "look at the contact sheet yourself")


def _is_off(survey: Survey, row: Measurement, labels: Labelled) -> NDArray[np.bool_]:
    """Return for left and right (2,) whether it is off the surface."""
    return np.asarray(labels.off_mm > survey.off_limit * row.size_mm)


def _is_explained(survey: Survey, object_id: str) -> bool:
    explained = (survey.turned, survey.swapped, survey.unlike, survey.in_one_place)
    return any(object_id in objects for objects in explained)


def _names(sides: NDArray[np.intp]) -> str:
    return " and ".join(SIDES[side] for side in sides)


def _values(values_mm: NDArray[np.float64], sides: NDArray[np.intp]) -> str:
    return " and ".join(f"{SIDES[side]} is {values_mm[side]:.3g} mm" for side in sides)
