"""OBJ: lines of vertices and polygons. Materials and textures are in other files, which are never opened.

Source: http://paulbourke.net/dataformats/obj/. A vertex line may end with the vertex's colour (r g b), as MeshLab and
others write it. Texture positions and normals are not read.
"""

import re

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.cutting import triangles
from featurelib.meshes.readers.polygons import RawMesh, rgb_uint8, whole_numbers
from featurelib.meshes.readers.text import numbers, table, without_comments, words_in_lines

_VERTEX = re.compile(rb"^[ \t]*v[ \t]+(.*)$", re.MULTILINE)
_FACE = re.compile(rb"^[ \t]*f[ \t]+(\S.*)$", re.MULTILINE)
_NO_FACE = re.compile(rb"^[ \t]*(l|p|curv|curv2|surf)[ \t]", re.MULTILINE)
_TEXTURE_AND_NORMAL = re.compile(rb"/\S*")


def read_obj(data: bytes, limits: Limits) -> RawMesh:
    """Return the mesh of an OBJ file, with polygons as triangles and all objects and groups joined.

    Raises:
        DataError: if a line is damaged, or a face refers to a vertex that does not exist.
    """
    limits.check_counts(data.count(b"\nv "), max(data.count(b"\nf "), 1))
    text = without_comments(data).replace(b"\\\n", b" ")
    vertices = table(b"\n".join(_VERTEX.findall(text)), 3, "vertex")
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
    colours = rgb_uint8(vertices[:, 3:6]) if vertices.shape[1] >= 6 else None
    return RawMesh(vertices[:, :3], triangles(counts, corners, vertices[:, :3], limits), colours)


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
