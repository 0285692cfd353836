"""VTK's legacy format: polygons or an unstructured grid, as text or big-endian binary.

Source: https://docs.vtk.org/en/latest/vtk_file_formats/vtk_legacy_file_format.html; versions from 5.0 on have cells as
offsets and connectivity. Colours are the first point data of bytes with three or four components.
"""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.polygons import RawMesh, rgb_uint8, whole_numbers
from featurelib.meshes.readers.text import quoted
from featurelib.meshes.readers.vtk_body import Body
from featurelib.meshes.readers.vtk_cells import Cells, joined, surface

_HEADER = re.compile(rb"# vtk DataFile Version[^\n]*\n[^\n]*\n\s*(ASCII|BINARY)\s*?\n\s*DATASET[ \t]+(\w+)\s*?\n", re.I)

_MAC = re.compile(rb"# vtk DataFile Version[^\r\n]*\r(?!\n)[^\r\n]*\r\s*ASCII\b", re.I)
"""Begins a text whose lines end with CR alone."""

_NUM_COMPONENTS = {"VECTORS": 3, "NORMALS": 3, "TENSORS": 9, "TENSORS6": 6, "GLOBAL_IDS": 1, "PEDIGREE_IDS": 1,
                   "EDGE_FLAGS": 1}  # fmt: skip
"""Numbers per point of attributes whose line does not say how many."""

_SECTIONS = ("VERTICES", "LINES", "POLYGONS", "TRIANGLE_STRIPS", "CELLS")

_EMPTY, _LAST_LINE, _TRIANGLE, _STRIP, _POLYGON, _PIXEL, _QUAD = 0, 4, 5, 6, 7, 8, 9
"""Types of cells of an unstructured grid; those up to _LAST_LINE are points and lines."""


class Geometry(NamedTuple):
    """The points (n, 3), and the cells by section; types (c,) of those of an unstructured grid."""

    points: NDArray[np.floating]
    cells: dict[str, Cells]
    types: NDArray[np.integer] | None


def read_vtk(data: bytes, limits: Limits) -> RawMesh:
    """Return the polygons and strips of a legacy VTK file as triangles.

    Raises:
        DataError: if the file is cut off or damaged, or has no surface.
    """
    if _MAC.match(data):
        data = data.replace(b"\r", b"\n")
    header = _HEADER.match(data)
    if not header:
        line = data[:512].split(b"\n")
        raise DataError(f"begins with {quoted(line[0])}; expected the four lines of a VTK file, up to DATASET")
    kind = header[2].upper().decode()
    if kind not in ("POLYDATA", "UNSTRUCTURED_GRID"):
        raise DataError(f"is a VTK file of {kind}; expected POLYDATA (extract its surface)")
    body = Body(data, header.end(), is_binary=header[1].upper() == b"BINARY")
    geometry, words = _read_geometry(body, limits)
    colours = _read_colours(body, words, len(geometry.points))
    polygons, strips, notes = _faces(geometry)
    return RawMesh(geometry.points, surface(geometry.points, polygons, strips, limits), colours, notes=notes)


def _read_geometry(body: Body, limits: Limits) -> tuple[Geometry, list[str]]:
    """Return the geometry, and the line that follows it."""
    points: NDArray[Any] = np.empty((0, 3))
    types: NDArray[np.integer] | None = None
    cells: dict[str, Cells] = {}
    while words := body.words():
        match words:
            case ["POINTS", count, dtype]:
                limits.check_counts(body.whole(count), 1)
                points = body.values(3 * body.whole(count), dtype).reshape(-1, 3)
            case [section, first, second] if section in _SECTIONS:
                more = _read_cells(body, body.whole(first), body.whole(second))
                cells[section] = joined([cells[section], more]) if section in cells else more
            case ["CELL_TYPES", count]:
                types = whole_numbers(body.values(body.whole(count), "int"), "a cell's type")
            case ["METADATA"]:
                body.skip_paragraph()
            case ["FIELD", _, count]:
                for _ in range(body.whole(count)):
                    body.field()
            case ["POINT_DATA" | "CELL_DATA", _]:
                break
            case _:
                raise DataError(
                    f"line {quoted(' '.join(words).encode())}; expected points, cells or data (it is damaged)"
                )
    return Geometry(points, cells, types), words


def _read_cells(body: Body, first: int, second: int) -> Cells:
    """Return cells: offsets and connectivity, or each with its number of corners before it."""
    if body.peek()[:1] == ["OFFSETS"]:
        ends = whole_numbers(body.values(first, body.words()[-1]), "an offset")
        words = body.words()
        if words[:1] != ["CONNECTIVITY"]:
            raise DataError(f"line {quoted(' '.join(words).encode())}; expected CONNECTIVITY (the file is damaged)")
        return Cells.ending_at(ends[1:], whole_numbers(body.values(second, words[-1]), "a cell's corner"))
    flat = whole_numbers(body.values(second, "int"), "a cell's corner")
    if not first:
        return Cells.none()
    if (
        second % first == 0 and second and (flat[:: second // first] == second // first - 1).all()
    ):  # all have as many corners
        rows = flat.reshape(first, -1)
        return Cells(rows[:, 0], rows[:, 1:].ravel())
    return _mixed_cells(flat, first)


def _mixed_cells(flat: NDArray[np.integer], num_cells: int) -> Cells:
    """Return cells that each have their number of corners before them."""
    starts, place = [], 0
    while place < len(flat) and flat[place] >= 0:
        starts.append(place)
        place += int(flat[place]) + 1
    if place != len(flat) or len(starts) != num_cells:
        raise DataError(f"{num_cells:,} cells do not fit their {len(flat):,} numbers (the file is damaged)")
    is_corner = np.ones(len(flat), dtype=bool)
    is_corner[starts] = False
    return Cells(flat[starts], flat[is_corner])


def _faces(geometry: Geometry) -> tuple[Cells, Cells, tuple[str, ...]]:
    """Return the polygons, the strips, and notes on the points and lines that are left out."""
    if geometry.types is None:
        polygons, strips = (geometry.cells.get(name, Cells.none()) for name in ("POLYGONS", "TRIANGLE_STRIPS"))
        num_left_out = sum(len(geometry.cells[name].counts) for name in ("VERTICES", "LINES") if name in geometry.cells)
    else:
        polygons, strips, num_left_out = _of_types(geometry.cells.get("CELLS", Cells.none()), geometry.types)
    note = f"left out {num_left_out:,} cell{'s' * (num_left_out > 1)} of points or lines"
    return polygons, strips, (note,) if num_left_out else ()


def _of_types(cells: Cells, types: NDArray[np.integer]) -> tuple[Cells, Cells, int]:
    """Return polygons and strips of an unstructured grid, and how many cells are points or lines."""
    if len(types) != len(cells.counts):
        raise DataError(f"{len(types):,} types for {len(cells.counts):,} cells (the file is damaged)")
    other = types[(types < _EMPTY) | (types > _QUAD)]
    if len(other):
        raise DataError(
            f"{len(other):,} cells of VTK's type {other[0]}; expected triangles or polygons (extract its surface)"
        )
    is_pixel = np.repeat(types == _PIXEL, cells.counts)
    if (cells.counts[types == _PIXEL] != 4).any():
        raise DataError("a pixel without four corners (the file is damaged)")
    corners = cells.corners.copy()
    corners[is_pixel] = corners[is_pixel].reshape(-1, 4)[:, [0, 1, 3, 2]].ravel()  # row by row, not around
    cells = cells._replace(corners=corners)
    is_strip = types == _STRIP
    return cells.where((types > _LAST_LINE) & ~is_strip), cells.where(is_strip), int((types <= _LAST_LINE).sum())


def _read_colours(body: Body, words: list[str], num_points: int) -> NDArray[np.uint8] | None:
    """Return the colours (n, 3) of points; None without any, or if an attribute before them cannot be read."""
    count, is_point = 0, False
    try:
        while words:
            arrays: list[NDArray[Any]] = []
            match words:
                case ["POINT_DATA" | "CELL_DATA" as data, text]:
                    count, is_point = body.whole(text), data == "POINT_DATA"
                case ["FIELD", _, text]:
                    arrays = [body.field() for _ in range(body.whole(text))]
                case ["METADATA"]:
                    body.skip_paragraph()
                case ["COLOR_SCALARS", _, text]:
                    width = body.whole(text)
                    scalars = body.values(count * width, "unsigned_char" if body.is_binary else "float")
                    arrays = [rgb_uint8(scalars.reshape(count, width))]
                case ["SCALARS", _, dtype, *more]:
                    body.words()  # LOOKUP_TABLE
                    width = body.whole((*more, "1")[0])
                    arrays = [body.values(count * width, dtype).reshape(count, width)]
                case ["LOOKUP_TABLE", _, text]:
                    body.values(4 * body.whole(text), "unsigned_char")
                case ["TEXTURE_COORDINATES", _, text, dtype]:
                    body.values(count * body.whole(text), dtype)
                case [name, _, dtype] if name in _NUM_COMPONENTS:
                    body.values(count * _NUM_COMPONENTS[name], dtype)
                case _:
                    return None
            for array in arrays:
                if is_point and array.dtype == np.uint8 and array.shape in ((num_points, 3), (num_points, 4)):
                    return rgb_uint8(array)
            words = body.words()
    except DataError:
        return None
    return None
