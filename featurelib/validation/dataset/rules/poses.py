"""Rules on axes, of the whole dataset and of each object against the others: left at +x, face towards +z."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.geometry import wxyz_from_matrix
from featurelib.meshes.reference import Fit
from featurelib.meshes.shape import symmetry
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.measure import Labelled
from featurelib.validation.dataset.survey import Survey

NEAR_AXIS = float(np.cos(np.radians(30)))
"""Cosine of 30 degrees: a direction closer to an axis than that is named after it."""

SYMMETRY_MARGIN = 0.08
"""If the symmetry across another axis exceeds that across x by this much of a correlation, x is not left-right."""

OFF_MIDDLE = 0.05
"""Largest median distance of the landmarks' midpoint from the centre, as a share of the width."""


def axes_of_the_dataset(survey: Survey) -> Iterator[Finding]:
    """Datasets in which the line from right to left does not run along +x."""
    axis = survey.labels_axis
    if axis is None or axis[0] > NEAR_AXIS:
        return
    across_mm = [_across_mm(survey, labels) for _, labels in survey.labelled]
    known = np.isfinite(across_mm)
    counts = (
        f"left x > right x in {np.sum(np.array(across_mm)[known] > 0)} of {known.sum()} objects, after the alignment"
    )
    if np.linalg.norm(axis) < 0.5:
        message = f"objects disagree about the direction of left: {counts}"
        fix = "rotate all into the same axes, left at +x, and check which landmark of a pair is left"
    elif axis[0] < -NEAR_AXIS:
        message = f"left is at -x: {counts}; x seems flipped"
        fix = (
            "if the front view shows faces, swap left and right in landmarks.csv; if it shows backs, "
            'rotate by "rotations_wxyz": [[0, 0, 1, 0]] in dataset.json'
        )
    else:
        back, _ = Rotation.align_vectors([[1.0, 0.0, 0.0]], [axis])
        message = f"the line from right to left runs towards {_named(axis)}, not +x; {counts}"
        fix = f'append this rotation in dataset.json: "rotations_wxyz": [{_wxyz(back.as_matrix())}]'
    yield Finding("axes", "error", None, message, fix)


def axes_without_labels(survey: Survey) -> Iterator[Finding]:
    """Datasets without labelled pairs whose objects are more symmetric across another axis than across x."""
    is_told = survey.labels_axis is not None or survey.dataset.landmarks.mirror != "swap"
    if is_told or survey.reference is None or not survey.has_spread:
        return
    scores = symmetry(survey.reference.radii)
    if scores.max() > scores[0] + SYMMETRY_MARGIN:
        message = f"most objects are symmetric across {'xyz'[int(scores.argmax())]}, not across x, the left-right axis"
        yield Finding("axes", "warning", None, message, "check the contact sheet, and set `alignment` in dataset.json")


def landmarks_off_the_middle(survey: Survey) -> Iterator[Finding]:
    """Datasets in which the midpoint of the pairs is not in the middle of most objects."""
    if survey.labels_axis is None or abs(survey.labels_axis[0]) < NEAR_AXIS:
        return
    middles = [_middle_mm(survey, labels) - row.bounds_mm[:, 0].mean() for row, labels in survey.labelled]
    shares = np.array(middles) / [np.ptp(row.bounds_mm[:, 0]) for row, _ in survey.labelled]
    if abs(share := float(np.nanmedian(shares))) > OFF_MIDDLE:
        middle_mm = float(np.nanmedian(middles))
        message = (
            f"the landmarks' midpoint is {middle_mm:+.3g} mm in x from the objects' centre ({100 * share:+.0f} % of "
            "their width), in the median"
        )
        fix = "check on the contact sheet that the labels belong to these meshes and the meshes are complete"
        yield Finding("middle", "warning", None, message, fix)


def turned_objects(survey: Survey) -> Iterator[Finding]:
    """Objects in other axes than most."""
    for object_id, fit in survey.turned.items():
        message, fix = _flipped(fit) if survey.is_mirrored(object_id) else _turned(fit, not survey.labelled)
        yield Finding("turned", "error", object_id, message, fix)


def swapped_sides(survey: Survey) -> Iterator[Finding]:
    """Objects with pairs whose left and right are exchanged compared with the others."""
    for row, labels in survey.labelled:
        swapped = survey.swapped.get(row.object_id)
        if not swapped or row.object_id in survey.turned:
            continue
        left, right = survey.pairs[swapped[0]]
        left_x, right_x = labels.landmarks_mm[[left, right], 0]
        message = (
            f"{survey.names[left]} is at x = {left_x:.4g} mm and {survey.names[right]} at {right_x:.4g} mm, exchanged "
            f"compared with the others"
        )
        if others := swapped[1:]:
            message += f", as are {len(others)} more of its pairs"
        fix = "swap left and right in its rows of landmarks.csv"
        if survey.is_mirrored(row.object_id):
            fix += ", or undo the mirroring of its mesh"
        yield Finding("swapped", "error", row.object_id, message, fix)


def _across_mm(survey: Survey, labels: Labelled) -> float:
    """Return how far left is towards +x from right, in the mean of an object's pairs; NaN without one."""
    left, right = labels.landmarks_mm[survey.pairs.T, 0]
    return _mean(left - right)


def _middle_mm(survey: Survey, labels: Labelled) -> float:
    """Return x of the midpoint of an object's pairs; NaN without one."""
    return _mean(labels.landmarks_mm[survey.pairs, 0].mean(axis=1))


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def _turned(fit: Fit, is_unlabelled: bool) -> tuple[str, str]:
    turn = Rotation.from_matrix(fit.rotation).as_rotvec(degrees=True)
    degrees = np.copysign(fit.angle_deg, turn[np.abs(turn).argmax()])  # positive about +y instead of negative about -y
    axis = turn / degrees
    message = f"{_pose(fit.rotation)}: rotated by {degrees:.0f} degrees about {_named(axis).lstrip('+')}"
    if is_unlabelled and fit.angle_deg > 150 and abs(axis[0]) < 0.5:
        message += f", or its {'z' if abs(axis[1]) > NEAR_AXIS else 'y'} axis is flipped"
    return message, f"rotate its mesh and labels by w, x, y, z = {_wxyz(fit.rotation.T)}"


def _flipped(fit: Fit) -> tuple[str, str]:
    """Return message and fix for an object that is rotated and has its sides exchanged: a mirror image."""
    mirror = fit.rotation * (-1, 1, 1)
    signs = np.diag(mirror)
    if np.abs(signs).min() > NEAR_AXIS:
        axes = " and ".join(name for name, sign in zip("xyz", signs, strict=True) if sign < 0)
        return f"{_pose(mirror)}: its {axes} axis seems flipped", f"mirror its mesh and labels in {axes}"
    return f"{_pose(mirror)}: rotated and mirrored", "export its mesh and labels again in the others' axes"


def _pose(object_from_others: NDArray[np.float64]) -> str:
    left, top, face = (_named(direction) for direction in object_from_others.T)
    return f"compared with the others its face is towards {face}, its top towards {top} and its left towards {left}"


def _named(direction: NDArray[np.float64]) -> str:
    """Return the name of the axis that a vector (3,) points along, or its coordinates if there is none."""
    unit = direction / np.linalg.norm(direction)
    axis = int(np.abs(unit).argmax())
    if abs(unit[axis]) < NEAR_AXIS:
        return f"({', '.join(f'{value:.2f}' for value in unit + 0.0)})"
    return f"{'-' if unit[axis] < 0 else '+'}{'xyz'[axis]}"


def _wxyz(rotation: NDArray[np.float64]) -> str:
    return f"[{', '.join(f'{value:.4g}' for value in wxyz_from_matrix(rotation).round(4) + 0.0)}]"
