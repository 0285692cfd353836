"""OFF: a text file of counts, vertices and polygons.

Source: http://www.geomview.org/docs/html/OFF.html. Colours in it are not read.
"""

import re

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.polygons import RawMesh, fans, whole_numbers
from featurelib.meshes.readers.text import numbers, quoted, table, without_comments, words_in_lines

_HEADER = re.compile(rb"\s*(?:ST)?C?N?OFF\s+(-?\d{1,18})\s+(-?\d{1,18})(?:[ \t]+-?\d+)?[ \t]*(?=\n|$)")


def read_off(data: bytes, limits: Limits) -> RawMesh:
    """Return the mesh of an OFF file, with polygons as triangles.

    Raises:
        DataError: if the file is cut off, damaged, binary, or has four dimensions.
    """
    text = without_comments(data)
    header = _HEADER.match(text)
    if not header:
        raise DataError(f"begins with {quoted(text)}; expected 'OFF' and the numbers of vertices, faces and edges")
    num_vertices, num_faces = int(header[1]), int(header[2])
    limits.check_counts(num_vertices, num_faces)
    lines = [line for line in text[header.end() :].split(b"\n") if line and not line.isspace()]
    if len(lines) < num_vertices + num_faces:
        raise DataError(
            f"{len(lines):,} lines of data; its {num_vertices:,} vertices and {num_faces:,} faces have "
            f"{num_vertices + num_faces:,} (the file is cut off)"
        )
    return RawMesh(
        table(b"\n".join(lines[:num_vertices]), 3, "vertex")[:, :3],
        _faces(b"\n".join(lines[num_vertices : num_vertices + num_faces]), limits),
    )


def _faces(text: bytes, limits: Limits) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of lines with a count, that number of indices, and optionally a colour."""
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
    return fans(counts, whole_numbers(corners, "a face's corner"), limits)
