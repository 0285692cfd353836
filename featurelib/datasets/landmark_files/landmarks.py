"""The named points of one object, and the landmark pair among them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from featurelib.datasets.coordinates import Xyz, position
from featurelib.errors import DataError
from featurelib.geometry import SIDES

Space = Literal["LPS", "RAS"]
"""Axes of 3D Slicer: LPS has +x to the patient's left, +y to the back, +z up; RAS has x and y reversed."""

Format = Literal["slicer", "fcsv", "meshlab", "json", "csv"]
"""Formats that can be written; `formats` has their writers."""

UNIT_NAMES = {
    name: unit
    for unit, names in {
        "mm": "mm millimeter millimeters millimetre millimetres",
        "cm": "cm centimeter centimeters centimetre centimetres",
        "m": "m meter meters metre metres",
        "inch": "inch inches in",
    }.items()
    for name in names.split()
}
"""Units as files write them in lower case."""

SIDE_WORDS = ({"left", "l", "lt"}, {"right", "r", "rt"})
NEUTRAL_WORDS = frozenset(
    ("f", "fiducial", "landmark", "lm", "mark", "marker", "markup", "markups", "point", "pt", "side")
)
"""Words of labels that name no landmark, as in "left point"."""

UNSPECIFIC_WORDS = SIDE_WORDS[0] | SIDE_WORDS[1] | NEUTRAL_WORDS

Naming = Literal["exact", "longer", "none"]
"""How labels name a landmark: by its words alone, by further words too, as "anti tragus" names "tragus", or not."""

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")

LABELS_SHOWN = 8
"""Number of labels of a file in a message."""


@dataclass(frozen=True)
class NamedPoints:
    """The points of one object.

    points: label and position of each, in the file's order.
    space: the axes that the file names; None for those of the mesh file.
    unit: the unit that the file names; None for that of the mesh file.
    group, split: as in landmarks.csv, empty if the file has none.
    missing: label of each point without a position, and why it has none.
    is_named: whether the labels are in the file; otherwise they are numbers.
    place: of the points in the file, such as "line 3".
    fault: why the object's points cannot be read; empty if they can.
    """

    points: tuple[tuple[str, Xyz], ...]
    space: Space | None = None
    unit: str | None = None
    group: str = ""
    split: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    is_named: bool = True
    place: str = ""
    fault: str = ""

    @property
    def labels(self) -> list[str]:
        """The labels of all points, those without a position last."""
        return [label for label, _ in (*self.points, *self.missing)]

    def in_axes(self, of_mesh: Space) -> "NamedPoints":
        """Return the points in the axes `of_mesh` of a mesh file; exact."""
        if self.space in (None, of_mesh):
            return self
        turned = tuple((label, (-x, -y, z)) for label, (x, y, z) in self.points)
        return replace(self, points=turned, space=of_mesh)

    def of_side(self, side: str, landmark: str | None) -> "NamedPoints":
        """Return the points of a file whose name has the side, and the landmark if it is given.

        A single point needs no words in its label, as F-1; other labels get the side.
        """
        is_single = len(self.points) == 1
        name = f"{side} {landmark or ''}".strip()
        labels = [
            name if is_single and all(w.isdigit() or w in NEUTRAL_WORDS for w in words(x)) else f"{x} {side}"
            for x in (label for label, _ in self.points)
        ]
        return replace(self, points=tuple(zip(labels, (xyz for _, xyz in self.points), strict=True)))

    def joined(self, other: "NamedPoints") -> "NamedPoints":
        """Return the points of two files or lists of one object, in the axes of the first.

        Raises:
            DataError: if their units differ.
        """
        further = other.in_axes(self.space) if self.space else other
        if self.unit != other.unit:
            raise DataError(f"points in {self.unit or 'mm'} and in {other.unit or 'mm'}; save them in one unit")
        points, missing = self.points + further.points, self.missing + other.missing
        return replace(self, points=points, missing=missing, fault=self.fault or other.fault)

    def scaled(self, factor: float) -> "NamedPoints":
        """Return the points with all coordinates multiplied by a factor."""
        if factor == 1:
            return self
        return replace(self, points=tuple((i, (x * factor, y * factor, z * factor)) for i, (x, y, z) in self.points))


class PointFile(NamedTuple):
    """The points in a file, by object; the object is None if the file does not name it. notes: what was guessed."""

    objects: tuple[tuple[str | None, NamedPoints], ...]
    notes: tuple[str, ...] = ()


def named_points(values: Iterable[tuple[str, Any]], *, decimal_commas: bool = False, **more: Any) -> NamedPoints:
    """Return the points of labels and their parsed positions; those without a position are `missing`.

    Args:
        values: label and three numbers or texts of each point.
        decimal_commas: whether texts may have a decimal comma.
        more: further fields of NamedPoints.
    """
    points: list[tuple[str, Xyz]] = []
    missing: list[tuple[str, str]] = [*more.pop("missing", ())]
    for label, numbers in values:
        try:
            points.append((label.strip(), position(numbers, decimal_commas=decimal_commas)))
        except DataError as error:
            missing.append((label.strip(), str(error)))
    return NamedPoints(tuple(points), missing=tuple(missing), **more)


def numbered_points(rows: Iterable[Sequence[str]], **more: Any) -> NamedPoints:
    """Return points that have no labels in their file; their labels are their numbers from 1."""
    values = [(str(k), row) for k, row in enumerate(rows, 1)]
    return named_points(values, decimal_commas=True, is_named=False, **more)


def names_landmark(labels: Iterable[str], landmark: str) -> bool:
    """Return whether any label has all words of a landmark's name."""
    return any(words(landmark) <= words(label) for label in labels)


def naming(labels: Iterable[str], landmark: str) -> Naming:
    """Return how closely labels name a landmark; a word for the side and NEUTRAL_WORDS do not count."""
    further = [words(label) - words(landmark) for label in labels if words(landmark) <= words(label)]
    if any(others <= UNSPECIFIC_WORDS for others in further):
        return "exact"
    return "longer" if further else "none"


def pair_of(
    points: NamedPoints, landmark: str, wanted: Sequence[str | None] = (None, None), *, named: Naming | None = None
) -> tuple[Xyz, Xyz]:
    """Return the left and the right point of a landmark.

    Args:
        points: of one object.
        landmark: its name; selects one of several pairs.
        wanted: the labels of left and right; None for the label with a word for the side, such as "left", "tragus_L"
            or "R tragus".
        named: how labels must name the landmark; None: as the closest label of the object does. "none": a label must
            not have other words than the side, as "eye_L" has.

    Raises:
        DataError: if the points cannot be read, or a side is missing or ambiguous, with the labels of the file.
    """
    if points.fault:
        raise DataError(points.fault)
    required = named or naming(points.labels, landmark)
    left, right = (_side(points, landmark, side, label, required) for side, label in zip(SIDES, wanted, strict=True))
    return left, right


def _side(points: NamedPoints, landmark: str, side: str, wanted: str | None, required: Naming) -> Xyz:
    def chosen(labels: list[str]) -> list[str]:
        return [x for x in labels if x == wanted] if wanted else _of_side(labels, landmark, side, required)

    found = chosen([label for label, _ in points.points])
    if len(found) == 1:
        return dict(points.points)[found[0]]
    if found:
        raise DataError(_ambiguous(found, side, landmark))
    reasons = [f"{label!r} {reason}" for label, reason in points.missing if label in chosen([label])]
    if reasons:
        raise DataError(f"no {side} point: {'; '.join(reasons)}")
    what = f"no point {wanted!r}" if wanted else f"no {side} point of {landmark!r}"
    if not points.is_named and not wanted:
        fix = "name those of both sides: --left LABEL --right LABEL"
        raise DataError(f"{what}: the file does not name its points ({shown(points.labels)}); {fix}")
    fix = f"name it with --{side}"
    if not wanted and required != "none":
        fix = f"place the point, or, if a label is another name of it, rename the label or {fix}"
    raise DataError(f"{what} among {shown(points.labels)}; {fix}")


def _of_side(labels: Iterable[str], landmark: str, side: str, required: Naming) -> list[str]:
    """Return the labels of a side that name the landmark as required, preferably without other words."""
    here, there = SIDE_WORDS if side == SIDES[0] else SIDE_WORDS[::-1]
    on_side = [label for label in labels if here & words(label) and not there & words(label)]
    if required == "none":
        return [label for label in on_side if words(label) - here <= NEUTRAL_WORDS]
    of_landmark = [label for label in on_side if naming([label], landmark) in ("exact", required)]
    return [label for label in of_landmark if words(label) - here == words(landmark) - here] or of_landmark


def _ambiguous(found: Sequence[str], side: str, landmark: str) -> str:
    if twice := next((label for label in found if found.count(label) > 1), None):
        return f"label {twice!r} twice; remove or rename one of the points"
    return f"{len(found)} {side} points of {landmark!r}: {shown(found)}; name one with --{side}"


def shown(labels: Sequence[str]) -> str:
    """Return the labels of a file for a message."""
    more = f", ... ({len(labels)} points)" if len(labels) > LABELS_SHOWN else ""
    return (", ".join(map(repr, labels[:LABELS_SHOWN])) or "no points") + more


@lru_cache(maxsize=4096)
def words(label: str) -> frozenset[str]:
    """Return the lower-case words of a label: {"l", "tragus"} for "LTragus", "tragus_L" and "L tragus"."""
    return frozenset(word.casefold() for word in WORD.findall(unicodedata.normalize("NFC", label)))
