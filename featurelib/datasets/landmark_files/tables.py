"""CSV with any column names: one row per object (`left_x, left_y, ...`) or per point (`label, x, y, z`).

A table with one row per point may have a column for the side beside the label. Tables that 3D Slicer exports from a
point list have the columns `label,r,a,s` or `label,l,p,s`, which name the axes, and `defined`
("Markups" in the user guide, https://slicer.readthedocs.io/en/latest/).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from featurelib.datasets.csv_table import Line, column_key, read_table, surplus
from featurelib.datasets.landmark_files.landmarks import ABSENT, UNIT_NAMES, NamedPoints, PointFile, Space, named_points
from featurelib.datasets.splits import SPLITS
from featurelib.errors import DataError

AXIS_LAST = re.compile(r"(.*?)[ _.:-]*([xyz])", re.IGNORECASE)
COLUMN_UNIT = re.compile(r"(.*?)[ _.]*(?:[\[(] *([a-zA-Z]+) *[\])]|[ _.](mm|cm))")
"""A column's name with its unit, as in "left x (mm)", "left_x [cm]" and "left_x_mm"."""

AXIS_FIRST = re.compile(r"([xyz])[ _.:-]+(.*)", re.IGNORECASE)

SPACE_AXES: dict[Space, tuple[str, str, str]] = {"RAS": ("r", "a", "s"), "LPS": ("l", "p", "s")}
"""Columns of Slicer's own tables."""

OBJECT_NAMES = ("object_id", "object", "id", "mesh", "file", "filename", "name", "subject", "specimen", "scan", "case")
LABEL_NAMES = ("label", "landmark", "point", "name")
SIDE_NAMES = ("side", "laterality", "hemisphere")


@dataclass(frozen=True)
class Columns:
    """The columns of a table; None and () are found by their usual names.

    object, label: the object's id or file and, in a table with one row per point, the point's label.
    left, right: the columns x, y and z of each side. is_object: whether a cell names a known object; with it the
    object's column is also found by its cells.
    """

    object: str | None = None
    label: str | None = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    is_object: Callable[[str], bool] = lambda _: False


class Layout(NamedTuple):
    """The columns of one table.

    points: those of x, y and z of each point in a row, by its label. object, label, side, group, split, defined,
    status: the others, None without one. space, unit: the axes and the unit that the columns name.
    """

    points: Mapping[str, tuple[str, str, str]]
    object: str | None
    label: str | None
    side: str | None
    group: str | None
    split: str | None
    defined: str | None
    status: str | None
    space: Space | None
    unit: str | None

    @property
    def is_by_point(self) -> bool:
        """Whether each row is one point."""
        return [*self.points] == [""]


def read_csv(content: bytes, columns: Columns) -> PointFile:
    """Return the points by object; the object is None if no column names it (one file per mesh).

    Raises:
        DataError: if the file is not a table, or a column is missing.
    """
    table = read_table(content)
    lines = [*table.lines]
    layout = _layout(table.columns, columns, lines)
    read = _by_point if layout.is_by_point else _by_object
    is_usual = layout.object in (None, columns.object, _usual(OBJECT_NAMES, table.columns))
    notes = () if is_usual else (f"column {layout.object!r} names the objects",)
    return PointFile(tuple(read(lines, layout, table.separator != ",")), (*table.notes, *notes))


def _by_object(lines: Sequence[Line], layout: Layout, decimal_commas: bool) -> list[tuple[str | None, NamedPoints]]:
    """Return the points of a row per object."""
    if layout.object is None and len(lines) > 1:
        fix = "name it with --object-column"
        raise DataError(f"{len(lines)} rows, and no column of the object among {_some([*lines[0].row])}; {fix}")
    return [(_object(line, layout), _row_points(line, layout, decimal_commas)) for line in lines]


def _row_points(line: Line, layout: Layout, decimal_commas: bool) -> NamedPoints:
    """Return the points of a row per object."""
    if fault := _fault(line, layout):
        return NamedPoints((), place=line.place, fault=fault)
    values = [(label, [line.row[name] for name in names]) for label, names in layout.points.items()]
    return named_points(
        values, decimal_commas=decimal_commas, place=line.place, unit=layout.unit, **_extras(line, layout)
    )


def _by_point(lines: Sequence[Line], layout: Layout, decimal_commas: bool) -> list[tuple[str | None, NamedPoints]]:
    """Return the points of a row per point; without labels they are numbered."""
    groups: dict[str | None, list[Line]] = {}
    for line in lines:
        groups.setdefault(_object(line, layout), []).append(line)
    is_named = layout.label is not None or layout.side is not None
    found: list[tuple[str | None, NamedPoints]] = []
    for object_id, rows in groups.items():
        labels = [_label(line, layout) if is_named else str(k) for k, line in enumerate(rows, 1)]
        cells = [_cells(line, layout) for line in rows]
        more: dict[str, Any] = {"is_named": is_named, "space": layout.space}
        more |= {"unit": layout.unit, **_extras(rows[-1], layout)}
        more["fault"] = next((f"{line.place}: {fault}" for line in rows if (fault := _fault(line, layout))), "")
        found.append((object_id, named_points(zip(labels, cells, strict=True), decimal_commas=decimal_commas, **more)))
    return found


def _cells(line: Line, layout: Layout) -> list[str] | str | None:
    """Return the coordinates of a row of one point; None if it is not defined, ABSENT if it does not exist."""
    if layout.status and line.row[layout.status].lower() == ABSENT:
        return ABSENT
    if layout.defined and line.row[layout.defined] == "0":
        return None
    return [line.row[name] for name in layout.points[""]]


def _object(line: Line, layout: Layout) -> str | None:
    return None if layout.object is None else line.row[layout.object]


def _label(line: Line, layout: Layout) -> str:
    return " ".join(line.row[name] for name in (layout.label, layout.side) if name)


def _extras(line: Line, layout: Layout) -> dict[str, str]:
    group, split = (line.row[name] if name else "" for name in (layout.group, layout.split))
    return {"group": group, "split": split}


def _fault(line: Line, layout: Layout) -> str:
    """Return why a row cannot be read, or ""."""
    if reason := surplus(line):
        return reason
    split = line.row[layout.split] if layout.split else ""
    return f"split {split!r}; expected {', '.join(SPLITS)} or nothing" if split not in ("", *SPLITS) else ""


def _layout(header: Sequence[str], columns: Columns, lines: Sequence[Line]) -> Layout:
    points, space = _points_in(header, columns)
    unit = _unit(name for names in points.values() for name in names)
    coordinates = {name for names in points.values() for name in names}
    rest = [name for name in header if name not in coordinates]
    is_by_point = [*points] == [""]
    side = _column(None, SIDE_NAMES, rest, "") if is_by_point else None
    rest = [name for name in rest if name != side]
    label = _column(columns.label, LABEL_NAMES, rest, "--label-column") if is_by_point else None
    rest = [name for name in rest if name != label]
    of_object = _column(columns.object, OBJECT_NAMES, rest, "--object-column")
    if columns.object is None and not is_by_point:
        of_object = _column_of_objects(of_object, rest, columns.is_object, lines)
    group, split = (_column(None, (name,), rest, "") for name in ("group", "split"))
    defined = _column(None, ("defined",), rest, "") if space else None
    status = _column(None, ("status",), rest, "") if is_by_point else None
    return Layout(points, of_object, label, side, group, split, defined, status, space, unit)


def _column_of_objects(
    usual: str | None, rest: Sequence[str], is_object: Callable[[str], bool], lines: Sequence[Line]
) -> str | None:
    """Return the column whose cells name known objects: among those of usual names, or, without these, among all."""
    names = [name for key in map(_plain, OBJECT_NAMES) for name in rest if _plain(name) == key] or rest
    return next((name for name in names if any(is_object(line.row[name]) for line in lines)), usual)


def _unit(names: Iterable[str]) -> str | None:
    """Return the unit that columns name; None without one.

    Raises:
        DataError: if it is unknown, or if they name several.
    """
    units = {_without_unit(name)[1] for name in names}
    if len(units) > 1:
        raise DataError(
            f"columns in {' and '.join(sorted(unit or 'no unit' for unit in units))}; write them in one unit"
        )
    return units.pop() if units else None


def _without_unit(column: str) -> tuple[str, str | None]:
    """Return a column's name without its unit, and the unit; None if it has none."""
    match = COLUMN_UNIT.fullmatch(column)
    unit = UNIT_NAMES.get((match[2] or match[3]).lower()) if match else None
    return (match[1], unit) if match and unit else (column, None)


def _plain(column: str) -> str:
    """Return a column's name without case, separators of words, and "id" or "name" at its end."""
    return re.sub("(?<=.)(id|name)$", "", column_key(column).replace("_", ""))


def _points_in(header: Sequence[str], columns: Columns) -> tuple[dict[str, tuple[str, str, str]], Space | None]:
    """Return the names of the x, y and z columns of each point in a row, by its label, and the axes they name."""
    named = {side: names for side, names in (("left", columns.left), ("right", columns.right)) if names}
    if named:
        missing = [name for names in named.values() for name in names if name not in header]
        if missing:
            raise DataError(f"no column {missing[0]!r} among {_some(header)}; correct --left and --right")
        return {side: (names[0], names[1], names[2]) for side, names in named.items()}, None
    axes: dict[str, dict[str, str]] = {}
    for name in header:
        bare, _ = _without_unit(name)
        if match := AXIS_LAST.fullmatch(bare):
            axes.setdefault(match[1], {})[match[2].lower()] = name
        elif match := AXIS_FIRST.fullmatch(bare):
            axes.setdefault(match[2], {})[match[1].lower()] = name
    groups = {label: (found["x"], found["y"], found["z"]) for label, found in axes.items() if len(found) == 3}
    lower = {name.lower(): name for name in header}
    for space, (x, y, z) in SPACE_AXES.items():
        if not groups and {x, y, z} <= set(lower):
            return {"": (lower[x], lower[y], lower[z])}, space
    if len(header) < 2:
        raise DataError(f"one column, {_some(header)!r}; separate the columns by commas, semicolons or tabs")
    if any(re.fullmatch(r"[-+]?[0-9]+[.,][0-9]+", name) for name in header):
        raise DataError(f"its first row has numbers, {_some(header)}; put the names of the columns before it")
    if not groups:
        raise DataError(f"no coordinates among its columns {_some(header)}; name them: --left X Y Z --right X Y Z")
    return groups, None


def _column(asked: str | None, usual: Iterable[str], rest: Sequence[str], flag: str) -> str | None:
    if asked is not None and asked not in rest:
        raise DataError(f"no column {asked!r} among {_some(rest)}; correct {flag}")
    return asked or _usual(usual, rest)


def _usual(usual: Iterable[str], rest: Sequence[str]) -> str | None:
    """Return the column with the first of some names; None if there is none."""
    by_key = {_plain(name): name for name in reversed(rest)}
    return next((by_key[key] for key in map(_plain, usual) if key in by_key), None)


def _some(header: Sequence[str]) -> str:
    text = " ".join(", ".join(header).split())
    return text if len(text) <= 200 else f"{text[:200]} ... ({len(header)} columns)"
