"""OBJ: lines of vertices and polygons. Materials and textures are in other files, which are never opened.

Source: http://paulbourke.net/dataformats/obj/. A vertex line may end with the vertex's colour (r g b), as MeshLab and
others write it. Texture positions and normals are not read.
"""

import re

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.cutting import notes_on_few_corners, triangles
from featurelib.meshes.readers.polygons import RawMesh, rgb_uint8, whole_numbers
from featurelib.meshes.readers.text import numbers, table, without_comments, words_in_lines

_VERTEX = re.compile(rb"^[ \t]*v[ \t]+(.*)$", re.MULTILINE)
_FACE = re.compile(rb"^[ \t]*fo?[ \t]+(\S.*)$", re.MULTILINE)
"""`fo` is a face in old files."""

_NO_FACE = re.compile(rb"^[ \t]*(l|p|curv|curv2|surf)[ \t]", re.MULTILINE)
_CONTINUED = re.compile(rb"\\[ \t]*\n")
_TEXTURE_AND_NORMAL = re.compile(rb"/\S*")


def read_obj(data: bytes, limits: Limits) -> RawMesh:
    """Return the mesh of an OBJ file, with polygons as triangles and all objects and groups joined.

    Raises:
        DataError: if a line is damaged, or a face refers to a vertex that does not exist.
    """
    limits.check_counts(data.count(b"\nv "), max(data.count(b"\nf "), 1))
    text = without_comments(data)
    if b"\\" in text:
        text = _CONTINUED.sub(b" ", text)
    vertices, longest = table(b"\n".join(_VERTEX.findall(text)), 3, "vertex")
    faces = b"\n".join(_FACE.findall(text))
    if b"/" in faces:
        faces = _TEXTURE_AND_NORMAL.sub(b"", faces)
    counts = words_in_lines(faces)
    if not len(vertices) and not len(counts):
        raise DataError("no line of a vertex (v) or a face (f); expected an OBJ file with geometry")
    if not len(counts) and (other := _NO_FACE.search(text)):
        raise DataError(f"no face (f), only lines of type {other[1].decode()!r}; export its surface as triangles")
    limits.check_counts(len(vertices), len(counts))
    corners = whole_numbers(numbers(faces), "a face's corner")
    _refuse_missing(corners, len(vertices))
    if (corners < 0).any():
        corners = np.where(corners < 0, corners + np.repeat(_vertices_before(text), counts), corners - 1)
    else:
        corners = corners - 1
    cut = triangles(counts, corners, vertices[:, :3], limits)
    return RawMesh(vertices[:, :3], cut, _colours(vertices), notes=_notes(vertices.shape[1], longest, counts))


def _colours(vertices: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """Return the colours (n, 3) of lines x y z r g b, which may have an alpha behind or a weight w before; or None."""
    if vertices.shape[1] < 6:
        return None
    has_weight = vertices.shape[1] == 7 and (vertices[:, 3] == 1).all() and (vertices[:, 6] != 1).any()
    return rgb_uint8(vertices[:, 4:7] if has_weight else vertices[:, 3:6])


def _notes(num_columns: int, longest: int, counts: NDArray[np.integer]) -> tuple[str, ...]:
    """Return notes on colours that only some vertices have, and on faces that have too few corners."""
    note = "left out the colours of vertices: some have none"
    return ((note,) if num_columns < 6 <= longest else ()) + notes_on_few_corners(counts)


def _refuse_missing(corners: NDArray[np.integer], num_vertices: int) -> None:
    """Raise DataError unless all corners are vertices, counted from 1, or backwards from -1."""
    bad = (corners == 0) | (np.abs(corners) > num_vertices)
    if bad.any():
        raise DataError(
            f"a face refers to vertex {corners[bad][0]} of {num_vertices:,}; OBJ counts from 1 (the file is damaged)"
        )


def _vertices_before(text: bytes) -> NDArray[np.int64]:
    """Return the number of vertices (p,) before each face, from which negative corners count backwards."""
    vertex_starts, face_starts = (
        np.array([match.start() for match in kind.finditer(text)], dtype=np.int64) for kind in (_VERTEX, _FACE)
    )
    return np.searchsorted(vertex_starts, face_starts)
