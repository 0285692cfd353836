"""The formats of landmark files, by their ending."""

from collections.abc import Callable, Mapping, Sequence

from featurelib.datasets.landmark_files.landmarks import Format, NamedPoints, Space, Xyz
from featurelib.datasets.landmark_files.meshlab import pp, read_pp
from featurelib.datasets.landmark_files.plain import read_json, to_json
from featurelib.datasets.landmark_files.slicer import fcsv, markups, read_fcsv
from featurelib.datasets.landmark_files.tables import Columns, read_csv
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.errors import DataError
from featurelib.geometry import SIDES

POINT_SUFFIXES = (".mrk.json", ".fcsv", ".pp", ".json", ".csv")
"""Endings of landmark files; a longer ending comes before its own end."""

ANY_COLUMNS = Columns()

Pairs = Mapping[str, tuple[Xyz, Xyz]]
"""Left and right landmark by object, in the axes and unit of the mesh files."""


def suffix_of(name: str) -> str | None:
    """Return a file's ending, one of POINT_SUFFIXES; None for other files."""
    return next((suffix for suffix in POINT_SUFFIXES if name.lower().endswith(suffix)), None)


def read_points(name: str, content: bytes, columns: Columns = ANY_COLUMNS) -> dict[str | None, NamedPoints]:
    """Return a file's points by object; the key is None if the file does not name its object.

    Raises:
        DataError: beginning with the name, if the file does not have the format of its ending.
    """
    readers: dict[str, Callable[[bytes], dict[str | None, NamedPoints]]] = {
        ".mrk.json": read_json,
        ".json": read_json,
        ".fcsv": lambda content: {None: read_fcsv(content)},
        ".pp": lambda content: {None: read_pp(content)},
        ".csv": lambda content: read_csv(content, columns),
    }
    suffix = suffix_of(name)
    if suffix is None:
        raise DataError(f"{name}: not a landmark file; expected {', '.join(POINT_SUFFIXES)}")
    try:
        return readers[suffix](content)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def write_points(
    pairs: Pairs, landmark: str, kind: Format, space: Space = "LPS", space_of: Callable[[str], Space] = lambda _: "LPS"
) -> dict[str, bytes]:
    """Return files by name, from which `read_points` reads the same numbers to the last bit.

    Args:
        pairs: the landmarks.
        landmark: its name, for the labels of the points.
        kind: one file per mesh (slicer, fcsv, meshlab) or one for all (json, csv: the dataset's own layout).
        space: the axes of Slicer's files.
        space_of: the axes in which Slicer reads an object's mesh file.
    """
    if kind == "json":
        return {"landmarks.json": to_json({i: list(zip(SIDES, pair, strict=True)) for i, pair in pairs.items()})}
    if kind == "csv":
        return {"landmarks.csv": write_landmarks(pairs)}
    if kind == "meshlab":
        return {f"{i}.pp": pp(labelled(pair, landmark, "LPS").points) for i, pair in pairs.items()}
    points = {i: labelled(pair, landmark, space_of(i)) for i, pair in pairs.items()}
    write, suffix = (markups, ".mrk.json") if kind == "slicer" else (fcsv, ".fcsv")
    return {f"{i}{suffix}": write(found.in_axes(space).points, space) for i, found in points.items()}


def labelled(pair: Sequence[Xyz], landmark: str, space: Space) -> NamedPoints:
    """Return a pair in a mesh file's axes as labelled points, for example "left tragus" and "right tragus"."""
    return NamedPoints(tuple((f"{side} {landmark}", xyz) for side, xyz in zip(SIDES, pair, strict=True)), space)
