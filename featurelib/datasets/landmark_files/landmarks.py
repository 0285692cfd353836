"""The named points of one object, as all landmark files have them."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from featurelib.datasets.coordinates import Xyz, position
from featurelib.errors import DataError

Space = Literal["LPS", "RAS"]
"""Axes of 3D Slicer: LPS has +x to the patient's left, +y to the back, +z up; RAS has x and y reversed."""

Format = Literal["slicer", "fcsv", "meshlab", "json", "csv", "wide", "tps", "nts", "morphologika"]
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

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")

ABSENT = "absent"
"""The word that files have in place of a position if the landmark does not exist on the object."""

NAMES_KEY = "points: "

LABELS_SHOWN = 8
"""Number of labels of a file in a message."""


@dataclass(frozen=True)
class NamedPoints:
    """The points of one object.

    points: label and position of each, in the file's order.
    space: the axes that the file names; None for those of the mesh file.
    unit: the unit that the file names; None for that of the mesh file.
    group, split: as in landmarks.csv, empty if the file has none.
    missing: label of each point without a position, and why it has none; ABSENT if it does not exist on the object.
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
    def absent(self) -> frozenset[str]:
        """The labels of the landmarks that do not exist on the object."""
        return frozenset(label for label, reason in self.missing if reason == ABSENT)

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
        if _is_absent(numbers):
            missing.append((label.strip(), ABSENT))
            continue
        try:
            points.append((label.strip(), position(numbers, decimal_commas=decimal_commas)))
        except DataError as error:
            missing.append((label.strip(), str(error)))
    return NamedPoints(tuple(points), missing=tuple(missing), **more)


def _is_absent(numbers: Any) -> bool:
    """Return whether a text, or one of three, in place of the numbers says that the landmark is absent."""
    cells = numbers if isinstance(numbers, list | tuple) else (numbers,)
    return any(isinstance(cell, str) and cell.strip().lower() == ABSENT for cell in cells)


def names_text(names: Sequence[str]) -> str:
    """Return the text of names for a comment, `points: ["nasion", "chin"]`, in formats without names of points."""
    return f"{NAMES_KEY}{json.dumps([*names], ensure_ascii=False)}"


def names_in(text: str) -> list[str] | None:
    """Return the names of such a text; None in other texts."""
    try:
        names = json.loads(text.removeprefix(NAMES_KEY)) if text.startswith(NAMES_KEY) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        return None
    return [name.strip() for name in names]


def point_line(xyz: Xyz | None, missing: str = "NA") -> str:
    """Return a point's coordinates with all their digits, separated by blanks."""
    return " ".join([missing] * 3 if xyz is None else map(repr, xyz))


def listed_points(rows: Sequence[Sequence[str]], names: Sequence[str] | None = None, **more: Any) -> NamedPoints:
    """Return the points of a file that has one list of their names at most; without it they are numbered from 1."""
    labels = names if names and len(names) == len(rows) else [str(k) for k in range(1, len(rows) + 1)]
    values = zip(labels, rows, strict=True)
    return named_points(values, decimal_commas=True, is_named=labels is names, **more)


def shown(labels: Sequence[str]) -> str:
    """Return the labels of a file for a message."""
    more = f", ... ({len(labels)} points)" if len(labels) > LABELS_SHOWN else ""
    return (", ".join(map(repr, labels[:LABELS_SHOWN])) or "no points") + more


@lru_cache(maxsize=4096)
def words(label: str) -> frozenset[str]:
    """Return the lower-case words of a label: {"l", "tragus"} for "LTragus", "tragus_L" and "L tragus"."""
    return frozenset(word.casefold() for word in WORD.findall(unicodedata.normalize("NFC", label)))
