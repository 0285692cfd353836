"""CSV with any column names: one row per object (`left_x, left_y, ...`) or per point (`label, x, y, z`)."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featurelib.datasets.landmark_files.landmarks import NamedPoints, Xyz
from featurelib.errors import DataError

AXIS_LAST = re.compile(r"(.*?)[ _.:-]*([xyz])", re.IGNORECASE)
AXIS_FIRST = re.compile(r"([xyz])[ _.:-]+(.*)", re.IGNORECASE)

OBJECT_NAMES = ("object_id", "object", "id", "mesh", "file", "filename", "name", "subject", "specimen", "scan", "case")
LABEL_NAMES = ("label", "landmark", "point", "name")


@dataclass(frozen=True)
class Columns:
    """The columns of a table; None and () are found by their usual names.

    object, label: the object's id or file and, in a table with one row per point, the point's label.
    left, right: the columns x, y and z of each side.
    """

    object: str | None = None
    label: str | None = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()


def read_csv(content: bytes, columns: Columns) -> dict[str | None, NamedPoints]:
    """Return the points by object; the key is None if no column names the object (one file per mesh).

    Raises:
        DataError: if a column is missing or a coordinate is not a number, with line and value.
    """
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), restval="")
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a CSV table in UTF-8 ({error})") from None
    groups = _points_in(header, columns)
    coordinates = {name for names in groups.values() for name in names}
    rest = [name for name in header if name not in coordinates]
    label = _column(columns.label, LABEL_NAMES, rest, "--label-column") if list(groups) == [""] else None
    of_object = _column(columns.object, OBJECT_NAMES, [n for n in rest if n != label], "--object-column")
    found: dict[str | None, list[tuple[str, Xyz]]] = {}
    extras: dict[str | None, tuple[str, str]] = {}
    for line, row in rows:
        object_id = row[of_object].strip() if of_object else None
        if label is None and object_id in found:
            raise DataError(f"line {line}: duplicate object {object_id!r}; keep one row")
        points = [(row[label].strip() if label else name, _xyz(row, names, line)) for name, names in groups.items()]
        found.setdefault(object_id, []).extend((name, xyz) for name, xyz in points if xyz is not None)
        extras[object_id] = (row.get("group", ""), row.get("split", ""))
    return {i: NamedPoints(tuple(points), None, *extras[i]) for i, points in found.items()}


def _points_in(header: Sequence[str], columns: Columns) -> dict[str, tuple[str, str, str]]:
    """Return the names of the x, y and z columns of each point in a row, by its label."""
    named = {side: names for side, names in (("left", columns.left), ("right", columns.right)) if names}
    if named:
        missing = [name for names in named.values() for name in names if name not in header]
        if missing:
            raise DataError(f"no column {missing[0]!r} among {', '.join(header)}")
        return {side: (names[0], names[1], names[2]) for side, names in named.items()}
    axes: dict[str, dict[str, str]] = {}
    for name in header:
        if match := AXIS_LAST.fullmatch(name):
            axes.setdefault(match[1], {})[match[2].lower()] = name
        elif match := AXIS_FIRST.fullmatch(name):
            axes.setdefault(match[2], {})[match[1].lower()] = name
    groups = {label: (found["x"], found["y"], found["z"]) for label, found in axes.items() if len(found) == 3}
    if not groups:
        raise DataError(f"no coordinates among its columns {', '.join(header)}; name them: --left X Y Z --right X Y Z")
    return groups


def _column(asked: str | None, usual: Sequence[str], rest: Sequence[str], flag: str) -> str | None:
    if asked is not None and asked not in rest:
        raise DataError(f"no column {asked!r} among {', '.join(rest)} ({flag})")
    by_name = {name.lower(): name for name in reversed(rest)}
    return asked or next((by_name[name] for name in usual if name in by_name), None)


def _xyz(row: Mapping[str, str], names: Sequence[str], line: int) -> Xyz | None:
    """Return a point; None if its cells are empty."""
    cells = [row[name].strip() for name in names]
    if not any(cells):
        return None
    try:
        x, y, z = (float(cell) for cell in cells)
    except ValueError:
        raise DataError(
            f"line {line}: {', '.join(names)} are {', '.join(map(repr, cells))}; expected numbers"
        ) from None
    return x, y, z
