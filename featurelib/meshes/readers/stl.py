"""STL: triangles without connectivity, binary or text.

Source: https://www.fabbers.com/tech/STL_Format (3D Systems, 1989). Text begins with "solid", and so do some binary
files; only the size distinguishes them.
"""

import re
import struct

import numpy as np

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.polygons import RawMesh, is_padding
from featurelib.meshes.readers.sniffing import STL_FACE_BYTES, STL_HEADER_BYTES, is_binary_stl
from featurelib.meshes.readers.text import numbers, quoted

_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"\bvertex((?:[ \t]+\S+){3})")
_SPACED_END = re.compile(rb"\bend[ \t]+facet")
_NAME = re.compile(rb"((?:^|[\r\n])[ \t]*(?:end[ \t]*)?solid)\b[^\r\n]*")
"""The name of a solid may have the words of a facet."""

_TEXT_AT_END = re.compile(rb"\bend[ \t]*solid\b[^\r\n]*[\r\n](?!.*(?:solid|facet|vertex))", re.DOTALL)

_UNCOUNTED = (0, 2**32 - 1)
"""Numbers of faces of programs that write the header first and never return to it."""


def read_stl(data: bytes, limits: Limits) -> RawMesh:
    """Return the triangles of an STL file, with three vertices per triangle. Normals and colours are not read.

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
    num_faces, notes = _count(data, limits)
    corners = np.frombuffer(data, _FACE, num_faces, STL_HEADER_BYTES)["corners"]
    return _soup(corners.reshape(-1, 3), notes)


def _is_text(data: bytes) -> bool:
    beginning = data[:512].strip(b" \t\r\n\0").lower()
    return not is_binary_stl(data) and beginning.startswith(b"solid") and b"\0" not in beginning


def _count(data: bytes, limits: Limits) -> tuple[int, tuple[str, ...]]:
    """Return the number of faces of a binary file, and notes on a count or bytes that are not used."""
    num_faces, size = int(struct.unpack_from("<I", data, 80)[0]), len(data) - STL_HEADER_BYTES
    in_file, rest = divmod(size, STL_FACE_BYTES)
    if num_faces in _UNCOUNTED and in_file and is_padding(data[len(data) - rest :]):
        limits.check_counts(0, in_file)
        return in_file, (f"the header announces {num_faces:,} faces, the file has {in_file:,}",)
    if num_faces == 0:
        raise DataError("no faces in its header or behind it; export the surface again")
    limits.check_counts(0, num_faces)
    missing = STL_FACE_BYTES * num_faces - size
    if missing > 0 or (-missing >= STL_FACE_BYTES and not is_padding(data[missing:])):
        reason = "the file is cut off or damaged" if missing > 0 else "the file is damaged"
        raise DataError(
            f"{len(data):,} bytes; the {num_faces:,} faces of its header take {len(data) + missing:,} ({reason})"
        )
    if missing == 0 or is_padding(data[missing:]):
        return num_faces, ()
    return num_faces, (f"left out {-missing} bytes after the last face",)


def _read_text(data: bytes, limits: Limits) -> RawMesh:
    text = data.lower()
    corners = _VERTEX.findall(text)
    if 3 * text.count(b"endfacet") != len(corners):
        text = _SPACED_END.sub(b"endfacet", _NAME.sub(rb"\1", text))
        corners = _VERTEX.findall(text)
    num_faces = text.count(b"endfacet")
    if not num_faces and not corners:
        raise DataError("no facet in its solids; export the surface again")
    limits.check_counts(0, max(num_faces, 1))
    notes = _end_of_text(text, num_faces)
    if len(corners) != 3 * num_faces:
        raise DataError(
            f"{len(corners):,} vertices; its {num_faces:,} faces need {3 * num_faces:,} (the file is damaged)"
        )
    return _soup(numbers(b" ".join(corners)).reshape(-1, 3), notes)


def _end_of_text(text: bytes, num_faces: int) -> tuple[str, ...]:
    """Return a note if the last solid has no end; raise DataError if a facet may be missing there."""
    after_faces = text[text.rfind(b"endfacet") + len(b"endfacet") :] if num_faces else text
    last_line = after_faces.strip(b" \t\r\n\0\x1a").replace(b"\r", b"\n").rpartition(b"\n")[2].lstrip()
    if not last_line:
        return ("no endsolid line after the last face",)
    if not re.match(rb"end[ \t]*solid", last_line):
        if _TEXT_AT_END.search(after_faces):
            return ("left out text after the last endsolid line",)
        raise DataError(
            f"ends with {quoted(last_line)} after {num_faces:,} faces; expected 'endsolid' (the file is cut off)"
        )
    return ()


def _soup(corners: np.ndarray, notes: tuple[str, ...]) -> RawMesh:
    """Return the mesh of corners (3m, 3), three consecutive rows per face."""
    return RawMesh(corners, np.arange(len(corners)).reshape(-1, 3), notes=notes)
