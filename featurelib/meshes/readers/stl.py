"""STL: triangles without connectivity, binary or text.

Source: https://www.fabbers.com/tech/STL_Format (3D Systems, 1989). Text begins with "solid", and so do some binary
files; only the size distinguishes them.
"""

import re
import struct

import numpy as np

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.polygons import RawMesh
from featurelib.meshes.readers.sniffing import STL_FACE_BYTES, STL_HEADER_BYTES, is_binary_stl
from featurelib.meshes.readers.text import numbers, quoted

_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"\bvertex((?:[ \t]+\S+){3})")


def read_stl(data: bytes, limits: Limits) -> RawMesh:
    """Return the triangles of an STL file, with three vertices per triangle.

    Raises:
        DataError: if the file is cut off, or is not an STL.
    """
    if _is_text(data):
        return _read_text(data, limits)
    if len(data) < STL_HEADER_BYTES:
        raise DataError(f"{len(data)} bytes; a binary STL has at least {STL_HEADER_BYTES} (the file is cut off)")
    if (
        data[:STL_HEADER_BYTES].isascii() and b"\0" not in data[:STL_HEADER_BYTES]
    ):  # text would announce half a billion faces
        raise DataError(f"begins with {quoted(data)}; expected 'solid', or a binary STL")
    num_faces = int(struct.unpack_from("<I", data, 80)[0])
    limits.check_counts(0, num_faces)
    expected = STL_HEADER_BYTES + STL_FACE_BYTES * num_faces
    if len(data) != expected:
        reason = "the file is cut off or damaged" if len(data) < expected else "the file is damaged"
        raise DataError(f"{len(data):,} bytes; the {num_faces:,} faces of its header take {expected:,} ({reason})")
    corners = np.frombuffer(data, _FACE, num_faces, STL_HEADER_BYTES)["corners"]
    return _soup(corners.reshape(-1, 3))


def _is_text(data: bytes) -> bool:
    return not is_binary_stl(data) and data[:512].lstrip().lower().startswith(b"solid") and b"\0" not in data[:512]


def _read_text(data: bytes, limits: Limits) -> RawMesh:
    text = data.lower().rstrip()
    num_faces = text.count(b"endfacet")
    limits.check_counts(0, num_faces)
    last_line = text[text.rfind(b"\n") + 1 :].lstrip()
    if not last_line.startswith(b"endsolid"):
        raise DataError(
            f"ends with {quoted(last_line)} after {num_faces:,} faces; expected 'endsolid' (the file is cut off)"
        )
    corners = _VERTEX.findall(text)
    if len(corners) != 3 * num_faces:
        raise DataError(
            f"{len(corners):,} vertices; its {num_faces:,} faces need {3 * num_faces:,} (the file is damaged)"
        )
    return _soup(numbers(b" ".join(corners)).reshape(-1, 3))


def _soup(corners: np.ndarray) -> RawMesh:
    """Return the mesh of corners (3m, 3), three consecutive rows per face."""
    return RawMesh(corners, np.arange(len(corners)).reshape(-1, 3))
