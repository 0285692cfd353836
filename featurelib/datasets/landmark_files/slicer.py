"""3D Slicer's markups: `.mrk.json` and the older `.fcsv`.

A markups file names its axes, LPS or RAS; a mesh file may name them. Since version 4.11 Slicer reads and writes meshes
as LPS unless the header or a comment has `SPACE=RAS`. It reads all numbers as millimetres, so landmarks on a mesh in
inches have the numbers of the mesh. Sources: "Model files are now saved in LPS coordinate system",
https://discourse.slicer.org/t/10446; "Markups" in the developer guide, https://slicer.readthedocs.io/en/latest/.
"""

import csv
import io
import json
from collections.abc import Sequence
from functools import reduce
from typing import Any

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import ABSENT, UNIT_NAMES, NamedPoints, PointFile, Space, named_points
from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT
from featurelib.meshes.readers.gzipped import beginning
from featurelib.meshes.readers.sniffing import mesh_suffix_of
from featurelib.meshes.readers.vtp import field_text

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)

FCSV_SPACES: dict[str, Space] = {"0": "RAS", "1": "LPS", "RAS": "RAS", "LPS": "LPS"}
"""The numbers are those of versions before 4.11."""

FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
OLD_FCSV_COLUMNS = "label,x,y,z,sel,vis"
"""Columns of the fiducial lists of Slicer 3, which are in RAS."""

POINT_LISTS = ("fiducial", "pointlist")
"""Types of markups whose control points are landmarks; those of curves, lines, planes and boxes are not."""

HEADER_BYTES = 4096
"""Length of the beginning of a mesh file that may name its axes."""


def mesh_space(content: bytes) -> Space | None:
    """Return the axes that a mesh file names, as Slicer writes them; None without a name.

    They are in the header or in the first comments, in VTP files in the field SPACE.
    """
    head = beginning(content, HEADER_BYTES)
    if mesh_suffix_of(head) == ".vtp":
        head += b"SPACE=" + field_text(content, "SPACE").encode()
    return "RAS" if b"SPACE=RAS" in head else "LPS" if b"SPACE=LPS" in head else None


def read_markups(values: dict[str, Any]) -> NamedPoints:
    """Return the control points of the point lists of a parsed `.mrk.json`, in the axes of the first list.

    Points that are not placed are missing, or absent if that is their description. Curves, lines, planes and boxes are
    left out. Locked, unselected and invisible points count.

    Raises:
        DataError: if the values do not follow Slicer's schema, or there is no point list.
    """
    try:
        kinds = [str(markup.get("type", "Fiducial")) for markup in values["markups"]]
        lists = [
            _point_list(markup)
            for markup, kind in zip(values["markups"], kinds, strict=True)
            if kind.lower() in POINT_LISTS
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a markups file of 3D Slicer ({type(error).__name__}: {error}); save it again") from None
    if not lists:
        raise DataError(f"no point list, only {', '.join(sorted(set(kinds))) or 'an empty file'}; save the point list")
    return reduce(NamedPoints.joined, lists)


def _point_list(markup: dict[str, Any]) -> NamedPoints:
    name = str("LPS" if (system := markup.get("coordinateSystem")) is None else system)
    space = FCSV_SPACES.get(name.upper())
    if space is None:
        raise DataError(f"coordinateSystem {name[:40]}; expected LPS or RAS")
    placed, missing = [], []
    for point in markup.get("controlPoints") or ():
        label, status = str(point.get("label") or ""), str(point.get("positionStatus", "defined"))
        if status == "defined":
            placed.append((label, point.get("position")))
        elif str(point.get("description") or "").strip().lower() == ABSENT:
            missing.append((label.strip(), ABSENT))
        else:
            missing.append((label.strip(), f"is {status}, not placed; place the point"))
    return named_points(placed, missing=missing, space=space, unit=_unit(markup))


def _unit(markup: dict[str, Any]) -> str | None:
    """Return the unit of a list; None for mm, which Slicer writes whatever the unit of the mesh file is."""
    given = markup.get("coordinateUnits") or "mm"
    names = {str(name).strip().lower() for name in (given if isinstance(given, list) else [given])}
    unit = UNIT_NAMES.get(names.pop()) if len(names) == 1 else None
    if unit is None:
        raise DataError(f"coordinateUnits {str(given)[:40]}; expected one of {', '.join(MM_PER_UNIT)}")
    return None if unit == "mm" else unit


def read_fcsv(content: bytes) -> PointFile:
    """Return the points of an `.fcsv` file; old files do not name their axes, which are RAS.

    The format has no status: a point that was not placed is at 0, 0, 0 (`vtkMRMLMarkupsFiducialStorageNode` of Slicer).

    Raises:
        DataError: if the file has another form.
    """
    text, notes = decode(content)
    lines = [line for line in text.splitlines() if line.strip()]
    settings = dict(_setting(line) for line in lines if line.startswith("#") and "=" in line)
    space = FCSV_SPACES.get(settings.get("coordinatesystem", "0").upper())
    if space is None:
        raise DataError(f"CoordinateSystem = {settings['coordinatesystem'][:40]}; expected LPS or RAS")
    usual = OLD_FCSV_COLUMNS if lines and lines[0].startswith("# Fiducial List") else FCSV_COLUMNS
    columns = [name.strip().lower() for name in settings.get("columns", usual).split(",")]
    if missing := {"label", *"xyz"} - set(columns):
        raise DataError(f"no column {', '.join(sorted(missing))}; expected {FCSV_COLUMNS}")
    try:
        rows = [dict(zip(columns, row, strict=False)) for row in csv.reader(line for line in lines if line[0] != "#")]
    except csv.Error as error:
        raise DataError(f"{error}; check the quotes") from None
    values = [(row.get("label", ""), [row.get(axis) for axis in "xyz"]) for row in rows]
    return PointFile(((None, named_points(values, space=space)),), notes)


def markups(points: Sequence[tuple[str, Xyz]], space: Space = "LPS", notes: Sequence[dict[str, Any]] = ()) -> bytes:
    """Return a `.mrk.json` file of labelled points in the given axes; `notes` are further entries of each point."""
    controls = [
        {
            "id": str(k + 1),
            "label": label,
            "description": "",
            "position": list(xyz),
            "positionStatus": "defined",
            "visibility": True,
            "selected": True,
            **(notes[k] if notes else {}),
        }
        for k, (label, xyz) in enumerate(points)
    ]
    markup = {"type": "Fiducial", "coordinateSystem": space, "coordinateUnits": "mm", "controlPoints": controls}
    return json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1).encode()


def fcsv(points: Sequence[tuple[str, Xyz]], space: Space = "LPS") -> bytes:
    """Return an `.fcsv` file of labelled points in the given axes, with all their digits."""
    text = io.StringIO()
    text.write(f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {space}\n# columns = {FCSV_COLUMNS}\n")
    writer = csv.writer(text, lineterminator="\n")
    for k, (label, xyz) in enumerate(points):
        writer.writerow([k + 1, *map(repr, xyz), 0, 0, 0, 1, 1, 1, 0, label, "", ""])
    return text.getvalue().encode()


def _setting(line: str) -> tuple[str, str]:
    name, _, value = line.lstrip("# ").partition("=")
    return name.strip().lower(), value.strip()
