"""Files of points to the rows of landmarks.csv: whose they are, which is left and right, in whose axes and unit."""

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
    """How files of points are to be read.

    landmark: its name. left, right: the labels of its instances; None: told by their words.
    columns: of CSV tables. scale: what the files' numbers are multiplied with to be in the meshes' unit.
    """

    landmark: str
    left: str | None = None
    right: str | None = None
    columns: Columns = field(default_factory=Columns)
    scale: float = 1.0


@dataclass(frozen=True)
class Imported:
    """The landmarks of a dataset, in its meshes' own axes and unit.

    pairs: left and right by object. extras: group and split by object, empty where the files tell none.
    spaces: the axes that the files named, by object. faults: what was left out, and why.
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
    """Return the landmarks of objects that files of points tell.

    Args:
        files: name and content of each, of POINT_SUFFIXES.
        object_ids: of the meshes.
        reading: how to read them.
        space_of: the axes of an object's mesh file.

    Raises:
        DataError: if a file cannot be read.
    """
    known, faults = dict.fromkeys(object_ids), list[Fault]()
    found: dict[str, tuple[str, NamedPoints]] = {}
    for name, content in files:
        for given, points in read_points(name, content, reading.columns).items():
            stem = name.rpartition("/")[2][: -len(suffix_of(name) or "")] if given is None else _without_ending(given)
            object_id = object_of(stem, known)
            if object_id is None:
                faults.append(Fault(None, f"{name}: {stem!r} is no mesh; expected <object_id>, as in {_some(known)}"))
            elif object_id in found:
                message = f"{name}: object {object_id!r} has points in {found[object_id][0]} too; keep one file"
                faults.append(Fault(object_id, message))
            else:
                found[object_id] = (name, points)
    pairs: dict[str, tuple[Xyz, Xyz]] = {}
    for object_id, (name, points) in sorted(found.items()):
        try:
            turned = points.in_axes(space_of(object_id)) if points.space else points
            left, right = pair_of(turned, reading.landmark, (reading.left, reading.right))
        except DataError as error:
            faults.append(Fault(object_id, f"{name}: {error}"))
            continue
        pairs[object_id] = (_scaled(left, reading.scale), _scaled(right, reading.scale))
    told = {i: found[i][1] for i in pairs}
    return Imported(
        pairs,
        {i: (points.group, points.split) for i, points in told.items()},
        {i: points.space for i, points in told.items()},
        tuple(faults),
    )


def _scaled(xyz: Xyz, scale: float) -> Xyz:
    return xyz if scale == 1 else (xyz[0] * scale, xyz[1] * scale, xyz[2] * scale)


def _without_ending(given: str) -> str:
    """Return an object's id, of the id or the path of its mesh file."""
    name = given.replace("\\", "/").rpartition("/")[2]
    return next((name[: -len(e)] for e in MESH_SUFFIXES if name.lower().endswith(e)), name)


def _some(object_ids: Mapping[str, object]) -> str:
    return ", ".join([*object_ids][:3]) + (", ..." if len(object_ids) > 3 else "")
