"""The formats of landmark files, by their ending."""

from collections.abc import Callable, Mapping, Sequence

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.landmark_files.idav import read_pts
from featurelib.datasets.landmark_files.landmarks import Format, NamedPoints, PointFile, Space
from featurelib.datasets.landmark_files.meshlab import pp, read_pp
from featurelib.datasets.landmark_files.morphologika import is_morphologika, read_morphologika
from featurelib.datasets.landmark_files.nts import read_nts
from featurelib.datasets.landmark_files.plain import read_json, to_json
from featurelib.datasets.landmark_files.slicer import fcsv, markups, read_fcsv
from featurelib.datasets.landmark_files.tables import Columns, read_csv
from featurelib.datasets.landmark_files.tps import read_tps
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.errors import DataError
from featurelib.geometry import SIDES

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

Pairs = Mapping[str, tuple[Xyz, Xyz]]
"""Left and right landmark by object, in the axes and unit of the mesh files."""


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
