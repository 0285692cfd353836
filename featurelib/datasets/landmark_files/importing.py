"""From landmark files to rows of landmarks.csv: finds the object, the sides, the axes and the unit of the points."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from featurelib.datasets.faults import Fault
from featurelib.datasets.landmark_files.formats import read_points, suffix_of
from featurelib.datasets.landmark_files.landmarks import NamedPoints, Space, Xyz, object_of, pair_of
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.errors import DataError
from featurelib.meshes import MESH_SUFFIXES


@dataclass(frozen=True)
class Reading:
    """Options for reading landmark files.

    landmark: its name. left, right: the labels of its points; None: labels with a word for the side.
    columns: of CSV tables. scale: factor from the files' unit to the meshes' unit.
    """

    landmark: str
    left: str | None = None
    right: str | None = None
    columns: Columns = field(default_factory=Columns)
    scale: float = 1.0


@dataclass(frozen=True)
class Imported:
    """The landmarks of a dataset, in the axes and unit of its meshes.

    pairs: left and right by object. extras: group and split by object, empty if the files have none.
    spaces: the axes that the files name, by object. faults: of the points that were left out.
    """

    pairs: Mapping[str, tuple[Xyz, Xyz]]
    extras: Mapping[str, tuple[str, str]]
    spaces: Mapping[str, Space | None]
    faults: tuple[Fault, ...]


def import_landmarks(
    files: Iterable[tuple[str, bytes]],
    object_ids: Iterable[str],
    reading: Reading,
    space_of: Callable[[str], Space],
) -> Imported:
    """Return the landmarks in some files.

    Args:
        files: name and content of each, with an ending of POINT_SUFFIXES.
        object_ids: of the meshes.
        reading: options.
        space_of: the axes of an object's mesh file.

    Raises:
        DataError: if a file cannot be read.
    """
    faults: list[Fault] = []
    found = _points_by_object(files, dict.fromkeys(object_ids), reading.columns, faults)
    pairs = _pairs(found, reading, space_of, faults)
    points_of = {object_id: found[object_id][1] for object_id in pairs}
    return Imported(
        pairs,
        {i: (points.group, points.split) for i, points in points_of.items()},
        {i: points.space for i, points in points_of.items()},
        tuple(faults),
    )


def _points_by_object(
    files: Iterable[tuple[str, bytes]], known: Mapping[str, None], columns: Columns, faults: list[Fault]
) -> dict[str, tuple[str, NamedPoints]]:
    """Return the file's name and the points of each known object; other points are faults."""
    found: dict[str, tuple[str, NamedPoints]] = {}
    for name, content in files:
        for given, points in read_points(name, content, columns).items():
            stem = name.rpartition("/")[2][: -len(suffix_of(name) or "")] if given is None else _without_ending(given)
            object_id = object_of(stem, known)
            if object_id is None:
                faults.append(Fault(None, f"{name}: no mesh for {stem!r}; expected <object_id>, as in {_some(known)}"))
            elif object_id in found:
                message = f"{name}: object {object_id!r} also has points in {found[object_id][0]}; keep one file"
                faults.append(Fault(object_id, message))
            else:
                found[object_id] = (name, points)
    return found


def _pairs(
    found: Mapping[str, tuple[str, NamedPoints]],
    reading: Reading,
    space_of: Callable[[str], Space],
    faults: list[Fault],
) -> dict[str, tuple[Xyz, Xyz]]:
    """Return left and right by object, in the axes and unit of its mesh; objects without a pair are faults."""
    pairs: dict[str, tuple[Xyz, Xyz]] = {}
    for object_id, (name, points) in sorted(found.items()):
        try:
            in_mesh_axes = points.in_axes(space_of(object_id)) if points.space else points
            left, right = pair_of(in_mesh_axes, reading.landmark, (reading.left, reading.right))
        except DataError as error:
            faults.append(Fault(object_id, f"{name}: {error}"))
            continue
        pairs[object_id] = (_scaled(left, reading.scale), _scaled(right, reading.scale))
    return pairs


def _scaled(xyz: Xyz, scale: float) -> Xyz:
    return xyz if scale == 1 else (xyz[0] * scale, xyz[1] * scale, xyz[2] * scale)


def _without_ending(given: str) -> str:
    """Return the object's id from its id or from the path of its mesh file."""
    name = given.replace("\\", "/").rpartition("/")[2]
    return next((name[: -len(e)] for e in MESH_SUFFIXES if name.lower().endswith(e)), name)


def _some(object_ids: Mapping[str, object]) -> str:
    return ", ".join([*object_ids][:3]) + (", ..." if len(object_ids) > 3 else "")
