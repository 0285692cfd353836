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
from typing import Any

from featurelib.datasets.landmark_files.landmarks import NamedPoints, Space, Xyz
from featurelib.errors import DataError
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
    """Return the defined control points of all markups of a parsed `.mrk.json`.

    Raises:
        DataError: if the values do not follow Slicer's schema.
    """
    try:
        markups = values["markups"]
        spaces = {str(markup.get("coordinateSystem", "LPS")).upper() for markup in markups}
        points = [
            (str(point.get("label", "")), _position(point["position"]))
            for markup in markups
            for point in markup.get("controlPoints") or ()
            if point.get("positionStatus", "defined") == "defined"
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a markups file of 3D Slicer ({type(error).__name__}: {error}); save it again") from None
    if len(spaces) != 1 or (space := spaces.pop()) not in ("LPS", "RAS"):
        raise DataError(f"coordinateSystem {', '.join(sorted(spaces)) or space}; expected LPS or RAS")
    return NamedPoints(tuple(points), space)  # type: ignore[arg-type]  # one of the two: checked above


def read_fcsv(content: bytes) -> NamedPoints:
    """Return the points of an `.fcsv` file; old files do not name their axes, which are RAS.

    Raises:
        DataError: if the file has another form.
    """
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    notes = dict(_note(line) for line in lines if line.startswith("#") and "=" in line)
    space = FCSV_SPACES.get(notes.get("coordinatesystem", "0").upper())
    if space is None:
        raise DataError(f"CoordinateSystem = {notes['coordinatesystem']}; expected LPS or RAS")
    columns = [name.strip() for name in notes.get("columns", FCSV_COLUMNS).split(",")]
    rows = [dict(zip(columns, row, strict=False)) for row in csv.reader(x for x in lines if x and x[0] != "#")]
    try:
        return NamedPoints(tuple((row["label"], _position([row[a] for a in "xyz"])) for row in rows), space)
    except KeyError as error:
        raise DataError(f"no column {error}; expected {FCSV_COLUMNS}") from None


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


def _note(line: str) -> tuple[str, str]:
    name, _, value = line.lstrip("# ").partition("=")
    return name.strip().lower(), value.strip()


def _position(values: Sequence[Any]) -> Xyz:
    try:
        x, y, z = (float(value) for value in values)
    except (TypeError, ValueError):
        raise DataError(f"position {values!r}; expected three numbers") from None
    return x, y, z
