"""The named points of one object, and the landmark pair among them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from featurelib.errors import DataError
from featurelib.geometry import SIDES

Xyz = tuple[float, float, float]
Space = Literal["LPS", "RAS"]
"""Axes of 3D Slicer: LPS has +x to the patient's left, +y to the back, +z up; RAS has x and y reversed."""

Format = Literal["slicer", "fcsv", "meshlab", "json", "csv"]
"""Formats that can be written; `formats` has their writers."""

SIDE_WORDS = ({"left", "l", "lt"}, {"right", "r", "rt"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class NamedPoints:
    """The points of one object.

    points: label and position of each, in the file's order.
    space: the axes that the file names; None for those of the mesh file.
    group, split: as in landmarks.csv, empty if the file has none.
    """

    points: tuple[tuple[str, Xyz], ...]
    space: Space | None = None
    group: str = ""
    split: str = ""

    def in_axes(self, of_mesh: Space) -> "NamedPoints":
        """Return the points in the axes `of_mesh` of a mesh file; exact."""
        if self.space in (None, of_mesh):
            return self
        turned = tuple((label, (-x, -y, z)) for label, (x, y, z) in self.points)
        return NamedPoints(turned, of_mesh, self.group, self.split)


def pair_of(points: NamedPoints, landmark: str, wanted: Sequence[str | None] = (None, None)) -> tuple[Xyz, Xyz]:
    """Return the left and the right point of a landmark.

    Args:
        points: of one object.
        landmark: its name; selects one of several pairs.
        wanted: the labels of left and right; None for the label with a word for the side, such as "left", "tragus_L"
            or "R tragus".

    Raises:
        DataError: if a side is missing or ambiguous, with the labels of the file.
    """
    left, right = (_side(points, landmark, side, label) for side, label in zip(SIDES, wanted, strict=True))
    return left, right


def _side(points: NamedPoints, landmark: str, side: str, wanted: str | None) -> Xyz:
    found = [label for label, _ in points.points if label == wanted] if wanted else _of_side(points, landmark, side)
    if len(found) == 1:
        return dict(points.points)[found[0]]
    labels = ", ".join(repr(label) for label, _ in points.points) or "none"
    if found:
        raise DataError(f"{len(found)} points {wanted or side!r} among {labels}; name one with --{side}")
    raise DataError(f"no {f'point {wanted!r}' if wanted else f'{side} point'} among {labels}; name it with --{side}")


def _of_side(points: NamedPoints, landmark: str, side: str) -> list[str]:
    """Return the labels with a word for a side; only those of the landmark if there are several pairs."""
    here, there = SIDE_WORDS if side == SIDES[0] else SIDE_WORDS[::-1]
    found = [label for label, _ in points.points if here & words(label) and not there & words(label)]
    of_landmark = [label for label in found if words(landmark) <= words(label)]
    return of_landmark if len(found) > 1 and of_landmark else found


def words(label: str) -> set[str]:
    """Return the lower-case words of a label: {"l", "tragus"} for "LTragus", "tragus_L" and "L tragus"."""
    return {word.lower() for word in WORD.findall(label)}


def object_of(name: str, object_ids: Iterable[str] | Mapping[str, object]) -> str | None:
    """Return the object of a file: its stem, or else the longest id that the stem begins with; None without one.

    `head-1_picked_points.pp` belongs to head-1, unless there is an object head-1_picked.
    """
    if name in (known := object_ids if isinstance(object_ids, set | dict) else set(object_ids)):
        return name
    cuts = [match.start() for match in re.finditer(r"[^0-9A-Za-z]", name)]
    return next((name[:cut] for cut in reversed(cuts) if name[:cut] in known), None)
