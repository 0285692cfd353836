"""OFF: a text file of counts, vertices and polygons.

Source: http://www.geomview.org/docs/html/OFF.html. The letters before OFF announce what follows a vertex's position:
N a normal, C a colour, ST a texture position, in this order. Colours of vertices are read; those of faces are not.
"""

import re

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.cutting import notes_on_few_corners, triangles
from featurelib.meshes.readers.polygons import RawMesh, rgb_uint8, whole_numbers
from featurelib.meshes.readers.text import numbers, quoted, table, without_comments, words_in_lines

_HEADER = re.compile(
    rb"\s*(?:((?:ST)?[CN]*)OFF\s*)?(-?\d{1,18})\s+(-?\d{1,18})"
    rb"(?:(?:[ \t]+|[ \t]*\n[ \t]*(?=\S+[ \t]*\n))-?\d+)?[ \t]*(?=\n|$)",
    re.IGNORECASE,
)
"""The word OFF may be missing, in lower case, or written together with the first number."""

_OTHER_KIND = re.compile(rb"\s*(?:ST)?[CN]*(4?n?)OFF\s+(BINARY\b)?")


def read_off(data: bytes, limits: Limits) -> RawMesh:
    """Return the mesh of an OFF file, with polygons as triangles.

    Raises:
        DataError: if the file is cut off, damaged, binary, or has four dimensions.
    """
    text = without_comments(data)
    header = _HEADER.match(text)
    if not header:
        raise DataError(_what_else(text))
    num_vertices, num_faces = int(header[2]), int(header[3])
    limits.check_counts(num_vertices, num_faces)
    lines = [line for line in text[header.end() :].split(b"\n") if line and not line.isspace()]
    if len(lines) < num_vertices + num_faces:
        raise DataError(
            f"{len(lines):,} lines of data; its {num_vertices:,} vertices and {num_faces:,} faces have "
            f"{num_vertices + num_faces:,} (the file is cut off, or has several on a line)"
        )
    columns, longest = table(b"\n".join(lines[:num_vertices]), 3, "vertex")
    vertices = columns[:, :3]
    faces, counts = _faces(b"\n".join(lines[num_vertices : num_vertices + num_faces]), vertices, limits)
    colours = _colours(columns, (header[1] or b"").upper())
    notes = _notes(lines[num_vertices + num_faces :], is_partly_coloured=colours is None and longest > columns.shape[1])
    return RawMesh(vertices, faces, colours, notes=notes + notes_on_few_corners(counts))


def _notes(lines_left: list[bytes], *, is_partly_coloured: bool) -> tuple[str, ...]:
    """Return notes on lines after the last face, and on columns that only some vertices have."""
    num = len(lines_left)
    rest = (f"left out {num:,} line{'s' * (num > 1)} after the last face",) if num else ()
    return rest + (("left out the colours of vertices: some have none",) if is_partly_coloured else ())


def _what_else(text: bytes) -> str:
    """Return the message about a text that does not begin as a readable OFF file."""
    found = _OTHER_KIND.match(text)
    if found and found[2]:
        return "a binary OFF, which is not read; export it as text"
    if found and found[1]:
        return "vertices with a number of dimensions other than three (nOFF, 4OFF); expected three"
    return f"begins with {quoted(text)}; expected 'OFF' and the numbers of vertices, faces and edges"


def _colours(columns: NDArray[np.float64], letters: bytes) -> NDArray[np.uint8] | None:
    """Return the colours (n, 3) of vertices whose columns the header's letters announce, or None."""
    first = 6 if b"N" in letters else 3
    if b"C" not in letters or columns.shape[1] < first + 3:
        return None
    return rgb_uint8(columns[:, first : first + 3])


def _faces(text: bytes, vertices: NDArray[np.float64], limits: Limits) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
    """Return the (m, 3) triangles of lines of a count, that number of indices and perhaps a colour; and the counts."""
    values = numbers(text)
    widths = words_in_lines(text)
    starts = np.cumsum(widths) - widths
    counts = whole_numbers(values[starts], "the number of a face's corners")
    wrong = (counts < 1) | (counts >= widths)
    if wrong.any():
        index = int(wrong.argmax())
        raise DataError(
            f"face {index + 1} of {len(widths):,} announces {counts[index]} corners and has {widths[index] - 1} "
            "(the file is cut off or damaged)"
        )
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    corners = values[np.repeat(starts + 1, counts) + offset]
    return triangles(counts, whole_numbers(corners, "a face's corner"), vertices, limits), counts
