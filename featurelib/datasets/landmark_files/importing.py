"""From landmark files to landmarks by object: finds the object, the names, the axes and the unit of the points."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.faults import Fault
from featurelib.datasets.landmark_files.formats import read_points, suffix_of
from featurelib.datasets.landmark_files.landmarks import NamedPoints, Space, shown, words
from featurelib.datasets.landmark_files.objects import KnownObjects, Owner, is_known, owner_of
from featurelib.datasets.landmark_files.selection import Naming, Reading, Selection, names_landmark, naming, selected
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.errors import DataError
from featurelib.geometry import SIDES, LandmarkSet
from featurelib.meshes import MESH_SUFFIXES


@dataclass(frozen=True)
class Imported:
    """The landmarks of a dataset, in the axes and unit of its meshes.

    names: of the k landmarks. landmarks: k positions by object, None where not labelled.
    absent: the names of the landmarks that do not exist on an object, by object, for those that lack any.
    extras: group and split by object, empty if the files have none.
    spaces: the axes that the files name, by object. faults: of the points that were left out.
    notes: what was guessed, such as the object of a file with a longer name.
    """

    names: tuple[str, ...]
    landmarks: Mapping[str, tuple[Xyz | None, ...]]
    absent: Mapping[str, frozenset[str]]
    extras: Mapping[str, tuple[str, str]]
    spaces: Mapping[str, Space | None]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


class Found(NamedTuple):
    """The points of a known object in a file. given: the object's name in the file, None if the file has none."""

    owner: Owner
    file: str
    given: str | None
    points: NamedPoints

    @property
    def place(self) -> str:
        """The file and the place in it."""
        return f"{self.file} {self.points.place}".rstrip()

    @property
    def notes(self) -> list[str]:
        """What was guessed about the object."""
        name = "" if self.given is None else f": {self.given!r}"
        return [f"{self.file}{name} was read for object {self.owner.object_id!r}"] if self.owner.is_noted else []


@dataclass(frozen=True)
class Report:
    """What an import collects beside the landmarks."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, object_id: str | None, message: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(object_id, message))


def import_landmarks(
    files: Iterable[tuple[str, bytes]],
    object_ids: Iterable[str],
    reading: Reading,
    space_of: Callable[[str], Space],
) -> Imported:
    """Return the landmarks in some files. Broken files, rows and points are left out and become faults.

    For one pair: if any label in the files has the landmark's name, all labels must have it; if any has no other words,
    none may have others. Points at 0, 0, 0 are returned: whether they were placed shows on the mesh (`placement`).

    Args:
        files: name and content of each, with an ending of POINT_SUFFIXES; a subfolder before it is the object's name.
        object_ids: of the meshes.
        reading: options.
        space_of: the axes of an object's mesh file.
    """
    report = Report()
    landmark = reading.landmark
    known = KnownObjects.of(object_ids, words(landmark or ""))
    columns = replace(reading.columns, is_object=lambda cell: is_known(_object_in(cell, known), known))
    read = [*_read(files, known, columns, report)]
    found = [*_found(read, known, landmark, report)]
    every = chain((points for _, _, points in read), (one.points for one in found))
    labels = dict.fromkeys(label for points in every for label in points.labels)
    named = naming(labels, landmark) if landmark else "none"
    kept: dict[str, tuple[Found, Selection]] = {}
    for object_id, several in _by_object(found).items():
        if chosen := _joined(object_id, [*_selections(several, reading, named, space_of, report)], report):
            kept[object_id] = chosen
            report.notes.extend(chosen[0].notes)
    if kept and landmark and named == "longer" and None in (reading.left, reading.right):
        longer = [label for label in labels if names_landmark([label], landmark)]
        report.notes.append(f"no label is {landmark!r} alone; longer ones were read for it: {shown(longer)}")
    names = LandmarkSet.single_pair(landmark).names if landmark else _names([chosen for _, chosen in kept.values()])
    return Imported(
        names,
        {i: tuple(chosen.points.get(name) for name in names) for i, (_, chosen) in kept.items()},
        {i: chosen.absent for i, (_, chosen) in kept.items() if chosen.absent},
        {i: (one.points.group, one.points.split) for i, (one, _) in kept.items()},
        {i: one.points.space for i, (one, _) in kept.items()},
        tuple(report.faults),
        tuple(report.notes),
    )


def _names(selections: Iterable[Selection]) -> tuple[str, ...]:
    """Return all names: numbers by their size, other names in the order of the object that has most."""
    ordered = sorted(selections, key=lambda chosen: -len(chosen.points))
    names = [*dict.fromkeys(name for chosen in ordered for name in (*chosen.points, *sorted(chosen.absent)))]
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else names)


def _read(
    files: Iterable[tuple[str, bytes]], known: KnownObjects, columns: Columns, report: Report
) -> Iterator[tuple[str, str | None, NamedPoints]]:
    """Yield each object's points with the file's name and the object's name in it; broken files are faults."""
    for name, content in files:
        try:
            objects, notes = read_points(name, content, columns)
        except DataError as error:
            report.fault(_stem(name) if _stem(name) in known.ids else None, str(error))
            continue
        report.notes.extend(f"{name}: {note}" for note in notes)
        yield from ((name, given, points) for given, points in objects)


def _found(
    read: Iterable[tuple[str, str | None, NamedPoints]], known: KnownObjects, landmark: str | None, report: Report
) -> Iterator[Found]:
    """Yield the points of known objects; those of other objects are faults."""
    for name, given, points in read:
        stem = _stem(name) if given is None else _object_in(given, known)
        try:
            owner = owner_of(stem, known)
        except DataError as error:
            report.fault(None, f"{name} {points.place}".rstrip() + f": {error}")
            continue
        of_landmark = landmark if landmark and names_landmark([stem], landmark) else None
        yield Found(owner, name, given, points.of_side(owner.side, of_landmark) if owner.side else points)


def _stem(name: str) -> str:
    """Return the subfolder of a landmark file, or its name without its ending and that of its mesh."""
    folder, _, file = name.partition("/")
    return _without_ending(folder if file else name[: -len(suffix_of(name) or "") or None])


def _by_object(found: Iterable[Found]) -> dict[str, list[Found]]:
    """Return the points by object, sorted; those whose name is closest to the object's come first."""
    groups: defaultdict[str, list[Found]] = defaultdict(list)
    for one in found:
        groups[one.owner.object_id].append(one)
    return {
        object_id: sorted(_with_sides_joined(groups[object_id]), key=lambda one: one.owner.rank)
        for object_id in sorted(groups)
    }


def _with_sides_joined(several: Sequence[Found]) -> list[Found]:
    """Return the points of an object, those of one file per side as one."""
    left, right = ([one for one in several if one.owner.side == side] for side in SIDES)
    if len(left) != 1 or len(right) != 1:
        return [*several]
    one, other = left[0].points, right[0].points
    if (one.space is None) != (other.space is None) or one.unit != other.unit:
        return [*several]
    points = replace(one.joined(other), place="")
    both = left[0]._replace(file=f"{left[0].place} and {right[0].place}", points=points)
    return [*(found for found in several if found.owner.side is None), both]


def _selections(
    several: Sequence[Found],
    reading: Reading,
    named: Naming,
    space_of: Callable[[str], Space],
    report: Report,
) -> Iterator[tuple[Found, Selection]]:
    """Yield the landmarks of one object from the names closest to it; other points and unreadable ones are faults."""
    for one in several:
        object_id = one.owner.object_id
        if one.owner.rank > several[0].owner.rank:
            message = f"{one.place}: object {object_id!r} has points in {several[0].place}, whose name is closer"
            report.fault(object_id, f"{message}; remove one of them")
            continue
        try:
            points = one.points.in_axes(space_of(object_id)) if one.points.space else one.points
            chosen = selected(points.scaled(reading.scale(points.unit)), reading, named)
        except DataError as error:
            report.fault(object_id, f"{one.place}: object {object_id!r}: {error}")
            continue
        for text in chosen.unread:
            report.fault(object_id, f"{one.place}: object {object_id!r}: {text}")
        yield one, chosen


def _joined(
    object_id: str, selections: Sequence[tuple[Found, Selection]], report: Report
) -> tuple[Found, Selection] | None:
    """Return an object's landmarks from all its files; different positions of one landmark are a fault."""
    if not selections:
        return None
    first, together = selections[0]
    for _, chosen in selections[1:]:
        joined = together.joined(chosen)
        if joined is None:
            places = " and ".join(one.place for one, _ in selections[:3])
            report.fault(object_id, f"{places}: object {object_id!r} has different points in them; keep one")
            return None
        together = joined
    return first, together


def _object_in(given: str, known: KnownObjects) -> str:
    """Return the object's id from its id or the path of its mesh file, which may be in a subfolder of that name."""
    folder = given.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
    name = _without_ending(given)
    return folder if folder in known.ids and not is_known(name, known) else name


def _without_ending(given: str) -> str:
    """Return the last name of a path without the ending of a mesh file."""
    name = given.replace("\\", "/").rpartition("/")[2]
    return next((name[: -len(e)] for e in MESH_SUFFIXES if name.lower().endswith(e)), name)
