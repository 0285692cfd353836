"""The formats of landmark files, by their ending."""

from collections.abc import Callable, Container, Mapping, Sequence
from math import nan

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.csv_table import write_rows
from featurelib.datasets.landmark_files.idav import read_pts
from featurelib.datasets.landmark_files.landmarks import ABSENT, Format, PointFile, Space
from featurelib.datasets.landmark_files.meshlab import pp, read_pp
from featurelib.datasets.landmark_files.morphologika import is_morphologika, morphologika, read_morphologika
from featurelib.datasets.landmark_files.nts import nts, read_nts
from featurelib.datasets.landmark_files.plain import read_json, to_json
from featurelib.datasets.landmark_files.slicer import fcsv, markups, read_fcsv
from featurelib.datasets.landmark_files.tables import Columns, read_csv
from featurelib.datasets.landmark_files.tps import read_tps, tps
from featurelib.datasets.landmark_table import write_landmarks, write_pairs
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

ANY_COLUMNS = Columns()

READERS: Mapping[str, Callable[[bytes, Columns], PointFile]] = {
    ".mrk.json": lambda content, _: read_json(content),
    ".fcsv": lambda content, _: read_fcsv(content),
    ".pp": lambda content, _: PointFile(((None, read_pp(content)),)),
    ".json": lambda content, _: read_json(content),
    ".csv": read_csv,
    ".tsv": read_csv,
    ".pts": lambda content, _: read_pts(content),
    ".tps": lambda content, _: read_tps(content),
    ".nts": lambda content, _: read_nts(content),
    ".dta": lambda content, _: read_nts(content),
    ".morphologika": lambda content, _: read_morphologika(content),
    ".txt": lambda content, columns: _read_text(content, columns),
}

POINT_SUFFIXES = tuple(READERS)
"""Endings of landmark files; a longer ending comes before its own end."""

Points = Mapping[str, Sequence[Xyz | None]]
"""The k landmarks by object, in the axes and unit of the mesh files; None without a position."""


def suffix_of(name: str) -> str | None:
    """Return a file's ending, one of POINT_SUFFIXES; None for other files."""
    return next((suffix for suffix in POINT_SUFFIXES if name.lower().endswith(suffix)), None)


def read_points(name: str, content: bytes, columns: Columns = ANY_COLUMNS) -> PointFile:
    """Return a file's points by object; none in a `.txt` that is neither a table of points nor Morphologika.

    Raises:
        DataError: beginning with the name, if the file does not have the format of its ending.
    """
    suffix = suffix_of(name)
    if suffix is None:
        raise DataError(f"{name}: not a landmark file; expected {', '.join(POINT_SUFFIXES)}")
    try:
        return READERS[suffix](content, columns)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def _read_text(content: bytes, columns: Columns) -> PointFile:
    """Return the points of a Morphologika file or of a table, as of Excel's "Unicode text"; none in other texts."""
    if is_morphologika(content):
        return read_morphologika(content)
    try:
        return read_csv(content, columns)
    except DataError:
        return PointFile((), ("not read: neither Morphologika nor a table of points",))


def write_points(
    landmarks: LandmarkSet,
    objects: Points,
    kind: Format,
    space: Space = "LPS",
    space_of: Callable[[str], Space] = lambda _: "LPS",
    absent: Mapping[str, Container[str]] | None = None,
) -> dict[str, bytes]:
    """Return files by name, from which `read_points` reads the same names and the same numbers to the last bit.

    All but fcsv and meshlab of these formats have a place for a point without a position; slicer, json and csv also
    tell the absent ones.

    Args:
        landmarks: the set; its names are the labels of the points.
        objects: their landmarks.
        kind: one file per mesh (slicer, fcsv, meshlab) or one for all; csv is the dataset's own table and wide one with
            a row per object.
        space: the axes of Slicer's files.
        space_of: the axes in which Slicer reads an object's mesh file.
        absent: the names of the landmarks that do not exist on an object, by object.
    """
    names, gone = landmarks.names, absent or {}
    if kind in ("slicer", "fcsv"):
        write, suffix = (_markups, ".mrk.json") if kind == "slicer" else (_fcsv, ".fcsv")
        return {
            f"{i}{suffix}": write(names, _in_axes(points, space_of(i), space), space, gone.get(i, ()))
            for i, points in objects.items()
        }
    if kind == "meshlab":
        return {f"{i}.pp": pp([*zip(names, points, strict=True)]) for i, points in objects.items()}
    if kind == "json":
        values = {i: _json_values(names, points, gone.get(i, ())) for i, points in objects.items()}
        return {"landmarks.json": to_json(values)}
    if kind == "morphologika":
        return {"landmarks.txt": morphologika(names, objects, landmarks.outlines)}
    if kind in ("tps", "nts"):
        return {f"landmarks.{kind}": (tps if kind == "tps" else nts)(names, objects)}
    return {"landmarks.csv": _wide(names, objects) if kind == "wide" else _table(landmarks, objects, gone)}


def _in_axes(points: Sequence[Xyz | None], of_mesh: Space, space: Space) -> list[Xyz | None]:
    """Return points from one of Slicer's axes in the other; exact."""
    if of_mesh == space:
        return [*points]
    return [xyz and (-xyz[0], -xyz[1], xyz[2]) for xyz in points]


def _markups(names: Sequence[str], points: Sequence[Xyz | None], space: Space, absent: Container[str]) -> bytes:
    """Return a .mrk.json file; points without a position are not placed, and the description tells absent ones."""
    notes = [
        {"position": [0.0, 0.0, 0.0], "positionStatus": "undefined", "description": ABSENT if name in absent else ""}
        if xyz is None
        else {}
        for name, xyz in zip(names, points, strict=True)
    ]
    return markups([(name, xyz or (0.0, 0.0, 0.0)) for name, xyz in zip(names, points, strict=True)], space, notes)


def _fcsv(names: Sequence[str], points: Sequence[Xyz | None], space: Space, _: Container[str]) -> bytes:
    return fcsv([(name, xyz) for name, xyz in zip(names, points, strict=True) if xyz is not None], space)


def _json_values(
    names: Sequence[str], points: Sequence[Xyz | None], absent: Container[str]
) -> dict[str, Sequence[float] | str | None]:
    pairs = zip(names, points, strict=True)
    return {name: ABSENT if name in absent else xyz for name, xyz in pairs}


def _wide(names: Sequence[str], objects: Points) -> bytes:
    """Return a table with a row per object and columns such as nasion_x; cells without a position are empty."""
    columns = ["object_id", *(f"{name}_{axis}" for name in names for axis in "xyz")]
    rows = []
    for object_id, points in objects.items():
        cells = [text for xyz in points for text in (map(repr, xyz) if xyz else ("", "", ""))]
        rows.append(dict(zip(columns, [object_id, *cells], strict=True)))
    return write_rows(columns, rows)


def _table(landmarks: LandmarkSet, objects: Points, absent: Mapping[str, Container[str]]) -> bytes:
    """Return landmarks.csv; a single pair has a row per object if nothing is absent."""
    points = {i: [xyz or (nan, nan, nan) for xyz in found] for i, found in objects.items()}
    if landmarks.is_single_pair and not absent:
        return write_pairs(points)
    gone = {i: [name in names for name in landmarks.names] for i, names in absent.items()}
    return write_landmarks(landmarks, points, gone)
