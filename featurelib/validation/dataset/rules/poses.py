"""Rules on axes: left at +x, face towards +z, of the whole dataset and of each object against the others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.geometry import wxyz_from_matrix
from featurelib.meshes.reference import Fit
from featurelib.meshes.shape import symmetry
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.survey import Survey

NEAR_AXIS = float(np.cos(np.radians(30)))
"""A direction within 30 degrees of an axis is called by its name."""

CLEARER = 0.08
"""By so much of a correlation more symmetric across another axis than across x, x is not the left-right axis."""

OFF_MIDDLE = 0.05
"""Share of the width by which the middle between the landmarks may be off the centre in most objects."""


def axes_of_the_dataset(survey: Survey) -> Iterator[Finding]:
    """Whether the line from right to left runs along +x in most objects."""
    axis = survey.labels_axis
    if axis is None or axis[0] > NEAR_AXIS:
        return
    towards = sum(labels.pair_mm[0, 0] > labels.pair_mm[1, 0] for _, labels in survey.labelled)
    counts = f"left_x > right_x in {towards} of {len(survey.labelled)} objects, after the alignment"
    if np.linalg.norm(axis) < 0.5:
        says = f"objects disagree on where left is: {counts}"
        fix = "bring all into the same axes, left at +x, and check the order of the columns"
    elif axis[0] < -NEAR_AXIS:
        says = f"left is at -x: {counts}; x looks flipped"
        fix = (
            "if the front view shows faces, swap the left and right columns of landmarks.csv; if it shows backs, "
            'turn by "rotations_wxyz": [[0, 0, 1, 0]] in dataset.json'
        )
    else:
        back, _ = Rotation.align_vectors([[1.0, 0.0, 0.0]], [axis])
        says = f"the line from right to left runs towards {_named(axis)}, not +x; {counts}"
        fix = f'turn by "rotations_wxyz": [{_wxyz(back.as_matrix())}] in dataset.json, after what stands there'
    yield Finding("axes", "error", None, says, fix)


def axes_without_labels(survey: Survey) -> Iterator[Finding]:
    """Without labels: whether the objects are more symmetric across another axis than across x."""
    if survey.labelled or survey.reference is None or not survey.has_spread:
        return
    across = symmetry(survey.reference.radii)
    if across.max() > across[0] + CLEARER:
        says = (
            f"most objects are symmetric across {'xyz'[int(across.argmax())]}, not across x, where left and right are"
        )
        yield Finding("axes", "warning", None, says, "look at the contact sheet and set `alignment` in dataset.json")


def landmarks_off_the_middle(survey: Survey) -> Iterator[Finding]:
    """Whether the middle between the landmarks is in the middle of most objects."""
    if survey.labels_axis is None or abs(survey.labels_axis[0]) < NEAR_AXIS:
        return
    middles = [labels.pair_mm[:, 0].mean() - row.bounds_mm[:, 0].mean() for row, labels in survey.labelled]
    shares = np.array(middles) / [np.ptp(row.bounds_mm[:, 0]) for row, _ in survey.labelled]
    if abs(share := float(np.median(shares))) > OFF_MIDDLE:
        middle_mm = float(np.median(middles))
        says = (
            f"the middle of left and right is {middle_mm:+.3g} mm in x off the objects' middle ({100 * share:+.0f} % "
            "of their width), in the median"
        )
        fix = "see on the contact sheet whether the labels are of these meshes and the meshes are whole"
        yield Finding("middle", "warning", None, says, fix)


def turned_objects(survey: Survey) -> Iterator[Finding]:
    """Objects in other axes than most."""
    for object_id, fit in survey.turned.items():
        says, fix = _flipped(fit) if object_id in survey.swapped else _turned(fit, not survey.labelled)
        yield Finding("turned", "error", object_id, says, fix)


def swapped_sides(survey: Survey) -> Iterator[Finding]:
    """Objects whose left is where the others have their right."""
    for row, labels in survey.labelled:
        if row.object_id in survey.swapped and row.object_id not in survey.turned:
            left_x, right_x = labels.pair_mm[:, 0]
            says = (
                f"left is at x = {left_x:.4g} mm and right at {right_x:.4g} mm, the other way round than in the others"
            )
            fix = "swap left and right in its row of landmarks.csv, or un-mirror its mesh"
            yield Finding("swapped", "error", row.object_id, says, fix)


def _turned(fit: Fit, is_unlabelled: bool) -> tuple[str, str]:
    turn = Rotation.from_matrix(fit.rotation).as_rotvec(degrees=True)
    degrees = np.copysign(fit.angle_deg, turn[np.abs(turn).argmax()])  # about +y, rather than the other way about -y
    axis = turn / degrees
    says = f"{_looks(fit.rotation)}: turned by {degrees:.0f} degrees about {_named(axis).lstrip('+')}"
    if is_unlabelled and fit.angle_deg > 150 and abs(axis[0]) < 0.5:
        says += f", or its {'z' if abs(axis[1]) > NEAR_AXIS else 'y'} axis is flipped"
    return says, f"turn its mesh and labels by w, x, y, z = {_wxyz(fit.rotation.T)}"


def _flipped(fit: Fit) -> tuple[str, str]:
    """Return what to say of an object that is turned and has its sides swapped: it is a mirror image."""
    mirror = fit.rotation * (-1, 1, 1)
    signs = np.diag(mirror)
    if np.abs(signs).min() > NEAR_AXIS:
        axes = " and ".join(name for name, sign in zip("xyz", signs, strict=True) if sign < 0)
        return f"{_looks(mirror)}: its {axes} axis looks flipped", f"mirror its mesh and labels in {axes}"
    return f"{_looks(mirror)}: turned and mirrored", "export its mesh and labels again with the others' axes"


def _looks(object_from_others: NDArray[np.float64]) -> str:
    left, top, face = (_named(direction) for direction in object_from_others.T)
    return f"against the others its face looks to {face}, its top to {top} and its left to {left}"


def _named(direction: NDArray[np.float64]) -> str:
    """Return the name of the axis that a unit vector (3,) lies along, else its coordinates."""
    unit = direction / np.linalg.norm(direction)
    axis = int(np.abs(unit).argmax())
    if abs(unit[axis]) < NEAR_AXIS:
        return f"({', '.join(f'{value:.2f}' for value in unit + 0.0)})"
    return f"{'-' if unit[axis] < 0 else '+'}{'xyz'[axis]}"


def _wxyz(rotation: NDArray[np.float64]) -> str:
    return f"[{', '.join(f'{value:.4g}' for value in wxyz_from_matrix(rotation).round(4) + 0.0)}]"
