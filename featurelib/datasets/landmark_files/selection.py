"""Which points of an object are the landmarks that are imported: one pair, or all of them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.landmark_files.landmarks import (
    ABSENT,
    NEUTRAL_WORDS,
    SIDE_WORDS,
    NamedPoints,
    shown,
    words,
)
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, SIDES, LandmarkSet

UNSPECIFIC_WORDS = SIDE_WORDS[0] | SIDE_WORDS[1] | NEUTRAL_WORDS

Naming = Literal["exact", "longer", "none"]
"""How labels name a landmark: by its words alone, by further words too, as "anti tragus" names "tragus", or not."""

UNPLACED = re.compile("(place|pick) the point$")
"""The end of a reason if a point was not placed; other reasons are faults of the file."""


@dataclass(frozen=True)
class Reading:
    """Options for reading landmark files.

    landmark: the name of the pair that is read; None for all points, each by its own name.
    left, right: the labels of the pair's points; None: labels with a word for the side.
    columns: of CSV tables. unit: of the meshes. landmark_unit: of the landmarks, whatever their files name; None: that
    of the file, or else that of the meshes.
    """

    landmark: str | None = None
    left: str | None = None
    right: str | None = None
    columns: Columns = field(default_factory=Columns)
    unit: str = "mm"
    landmark_unit: str | None = None

    def scale(self, named: str | None) -> float:
        """Return the factor from the unit that a file names to the meshes' unit."""
        return MM_PER_UNIT[self.landmark_unit or named or self.unit] / MM_PER_UNIT[self.unit]


@dataclass(frozen=True)
class Selection:
    """The landmarks of one object: positions by name, and the names of absent ones.

    unread: points that could not be read, with the reason; the others of the object are there.
    """

    points: dict[str, Xyz]
    absent: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()

    def joined(self, other: "Selection") -> "Selection | None":
        """Return the landmarks of two files of one object; None if they differ in a position."""
        both = self.points.keys() & other.points.keys()
        if any(self.points[name] != other.points[name] for name in both):
            return None
        points, absent = {**self.points, **other.points}, self.absent | other.absent
        return None if absent & points.keys() else Selection(points, absent, (*self.unread, *other.unread))


def selected(points: NamedPoints, reading: Reading, named: "Naming") -> Selection:
    """Return the landmarks among an object's points; a pair has the names of `LandmarkSet.single_pair`.

    Raises:
        DataError: if the points cannot be read, or as `pair_of` and `all_of`.
    """
    if reading.landmark is None:
        return all_of(points)
    pair = pair_of(points, reading.landmark, (reading.left, reading.right), named=named)
    return Selection(dict(zip(LandmarkSet.single_pair(reading.landmark).names, pair, strict=True)))


def all_of(points: NamedPoints) -> Selection:
    """Return all points by their labels, or by their numbers from 1 if the file does not name them.

    Raises:
        DataError: if they cannot be read, if some have no label or two have the same, or if no point has a position.
    """
    if points.fault:
        raise DataError(points.fault)
    names = dict(zip(points.labels, points.labels, strict=True)) if points.is_named else _numbers(points.labels)
    if len(names) < len(points.labels):
        twice = next(label for label in points.labels if points.labels.count(label) > 1)
        raise DataError(f"label {twice!r} twice; remove or rename one of the points")
    if "" in names:
        raise DataError(f"a point without a label among {shown(points.labels)}; label it")
    absent = frozenset(names[label] for label in points.absent)
    if not points.points and not absent:
        raise DataError(f"no point has a position; the first: {': '.join((points.missing or (('none', ''),))[0])}")
    unread = [f"{label!r} {reason}" for label, reason in points.missing if reason != ABSENT]
    faults = tuple(text for text in unread if not UNPLACED.search(text))
    return Selection({names[label]: xyz for label, xyz in points.points}, absent, faults)


def _numbers(labels: Sequence[str]) -> dict[str, str]:
    """Return the numbers from 1, in the order of labels that are numbers or S000, S001 and so on."""
    ordered = sorted(labels, key=lambda label: int(re.sub(r"\D", "", label) or 0))
    return {label: str(k) for k, label in enumerate(ordered, 1)}


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
    reasons = [f"{label!r} {_why(reason)}" for label, reason in points.missing if label in chosen([label])]
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


def _why(reason: str) -> str:
    return f"is {ABSENT}" if reason == ABSENT else reason


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
