"""VTK's XML format for surfaces: pieces with points, polygons and triangle strips, joined to one mesh.

Source: https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html. Colours are the first point data of
bytes with three or four components. The XML is read without document types, so that it has no entities.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.polygons import RawMesh, whole_numbers
from featurelib.meshes.readers.text import quoted
from featurelib.meshes.readers.vtk_cells import Cells, joined, surface
from featurelib.meshes.readers.vtp_arrays import Array, Encoding

MAX_ELEMENTS = 1_000_000
"""Elements of the XML; the most pieces that are read have 60 each."""

_APPENDED = re.compile(rb"<AppendedData\b([^>]*)>\s*_")

_MAX_NAME = 4096
"""Longest text that `field_text` decodes."""


class Piece(NamedTuple):
    """The attributes of a piece, and its arrays by section and name."""

    attributes: dict[str, str]
    arrays: dict[tuple[str, str], Array]

    def count(self, key: str) -> int:
        """Return an announced number; 0 if there is none."""
        text = self.attributes.get(key, "0").strip()
        if not text.isdecimal() or len(text) > 15:
            raise DataError(f"{key} is {quoted(text.encode())}; expected an integer, at least 0 (the file is damaged)")
        return int(text)

    def array(self, section: str, name: str = "") -> Array:
        """Return an array of a section, the first one without a name.

        Raises:
            DataError: if there is none.
        """
        for (its_section, its_name), array in self.arrays.items():
            if its_section == section and name in ("", its_name):
                return array
        raise DataError(f"no array {f'{name} ' if name else ''}in {section}; expected one (the file is damaged)")


@dataclass(eq=False)
class _Document:
    """The parsed XML; `fields` is the piece of arrays that belong to none."""

    root: dict[str, str] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    fields: Piece = field(default_factory=lambda: Piece({}, {}))
    path: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    num_elements: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.num_elements += 1
        if self.num_elements > MAX_ELEMENTS or len(self.path) > 20:
            raise DataError(f"more than {MAX_ELEMENTS:,} elements, or nested deeper than 20; expected a VTP file")
        if not self.path:
            self.root = {"": name, **attributes}
        elif name == "Piece":
            self.pieces.append(Piece(attributes, {}))
        elif name in ("DataArray", "Array"):
            self.text = []
            piece = self.pieces[-1] if "Piece" in self.path else self.fields
            piece.arrays[self.path[-1], attributes.get("Name", "")] = Array(attributes, self.text)
        self.path.append(name)

    def data(self, text: str) -> None:
        if self.path[-1] in ("DataArray", "Array"):
            self.text.append(text)

    def end(self, _name: str) -> None:
        self.path.pop()

    def doctype(self, *_: object) -> None:
        raise DataError("has a document type, which is never read; export it again")


def read_vtp(data: bytes, limits: Limits) -> RawMesh:
    """Return the polygons and strips of all pieces of a VTP file as triangles.

    Raises:
        DataError: if the file is cut off, damaged, or compressed by anything but zlib, or has no surface.
    """
    document, encoding = _parsed(data)
    if document.root[""] != "VTKFile" or document.root.get("type") != "PolyData":
        kind = document.root.get("type", document.root[""])
        raise DataError(f"is XML of {quoted(kind.encode())}; expected a VTKFile of PolyData (extract its surface)")
    pieces = [piece for piece in document.pieces if piece.count("NumberOfPoints")]
    if len(pieces) > limits.max_parts:
        raise DataError(f"{len(pieces):,} pieces; expected at most {limits.max_parts:,} (join them)")
    counts = [piece.count("NumberOfPoints") for piece in pieces]
    num_cells = [sum(piece.count(f"NumberOf{kind}") for kind in ("Polys", "Strips")) for piece in pieces]
    limits.check_counts(sum(counts), sum(num_cells))
    points = np.concatenate([_points(piece, encoding) for piece in pieces])
    firsts = np.cumsum(counts) - counts
    polygons, strips = (
        joined([_cells(*entry, section, encoding, limits) for entry in zip(pieces, firsts, strict=True)])
        for section in ("Polys", "Strips")
    )
    notes = _notes(pieces)
    return RawMesh(points, surface(points, polygons, strips, limits), _colours(pieces, encoding), notes=notes)


def field_text(data: bytes, name: str) -> str:
    """Return the text of a file's own array (not of a piece) of strings; empty if there is none."""
    try:
        document, encoding = _parsed(data)
        array = document.fields.array("FieldData", name)
        if array.attributes.get("format") == "ascii":
            codes = "".join(array.text[:_MAX_NAME]).split()[:_MAX_NAME]
            return "".join(chr(int(code)) for code in codes if code.isdecimal() and 0 < int(code) < 128)
        return bytes(encoding.beginning(array, _MAX_NAME)).decode("ascii", "replace").rstrip("\0")
    except DataError:
        return ""


def _parsed(data: bytes) -> tuple[_Document, Encoding]:
    """Return the XML of a file, without the data that are appended to it, and the encoding of its arrays."""
    appended = _APPENDED.search(data)
    head = data[: appended.start()] + b"</VTKFile>" if appended else data
    document, parser = _Document(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = document.start, document.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = document.data, document.doctype
    parser.buffer_text, parser.buffer_size = True, 1 << 16
    try:
        parser.Parse(head, True)
    except expat.ExpatError as error:
        raise DataError(f"its XML cannot be read ({error}; the file is cut off or damaged)") from None
    rest = memoryview(data)[appended.end() :] if appended else memoryview(b"")
    is_raw = bool(appended and re.search(rb"[\"']raw[\"']", appended[1]))
    return document, Encoding.of(document.root, rest, is_raw=is_raw)


def _points(piece: Piece, encoding: Encoding) -> NDArray[np.floating]:
    return encoding.values(piece.array("Points"), 3 * piece.count("NumberOfPoints")).reshape(-1, 3)


def _cells(piece: Piece, first_point: int, section: str, encoding: Encoding, limits: Limits) -> Cells:
    """Return the cells of a section, with points that are counted over all pieces."""
    count = piece.count(f"NumberOf{section}")
    if not count:
        return Cells.none()
    ends = whole_numbers(encoding.values(piece.array(section, "offsets"), count), "an offset")
    num_corners = int(ends[-1])
    if not 0 <= num_corners <= limits.max_vertices:
        raise DataError(f"{num_corners:,} corners; expected at most {limits.max_vertices:,} (the file is damaged)")
    corners = whole_numbers(encoding.values(piece.array(section, "connectivity"), num_corners), "a cell's corner")
    if corners.size and not 0 <= int(corners.min()) <= int(corners.max()) < piece.count("NumberOfPoints"):
        raise DataError("a cell refers to a point that its piece does not have (the file is damaged)")
    return Cells.ending_at(ends, corners).moved(first_point)


def _colours(pieces: list[Piece], encoding: Encoding) -> NDArray[np.uint8] | None:
    """Return the colours (n, 3) of points, if all pieces have some."""
    colours = []
    for piece in pieces:
        arrays = [array for (section, _), array in piece.arrays.items() if section == "PointData"]
        found = [a for a in arrays if a.attributes.get("type") == "UInt8" and a.num_components in (3, 4)]
        if not found:
            return None
        count = piece.count("NumberOfPoints")
        values = encoding.values(found[0], count * found[0].num_components)
        colours.append(values.astype(np.uint8).reshape(count, -1)[:, :3])
    return np.concatenate(colours)


def _notes(pieces: list[Piece]) -> tuple[str, ...]:
    num_left_out = sum(piece.count(f"NumberOf{kind}") for piece in pieces for kind in ("Verts", "Lines"))
    note = f"left out {num_left_out:,} cell{'s' * (num_left_out > 1)} of points or lines"
    return (note,) if num_left_out else ()
