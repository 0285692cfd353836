"""The result of all readers, and the conversions and checks that they share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError


class RawMesh(NamedTuple):
    """A mesh in the frame and unit of its file; only its size is checked.

    vertices: (n, 3) floats.
    faces: (m, 3) integers.
    colours: (n, 3) uint8 RGB, or None.
    uv: (n, 2) floats, with (0, 0) at the bottom-left corner of the texture, or None.
    texture: (h, w, 3) uint8 RGB, row 0 at the top, or None.
    notes: what the reader repaired or left out, a phrase each.
    """

    vertices: NDArray[np.floating]
    faces: NDArray[np.integer]
    colours: NDArray[np.uint8] | None = None
    uv: NDArray[np.floating] | None = None
    texture: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()


def strips(corners: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of triangle strips (n,), which negative numbers separate.

    Every second triangle of a strip is reversed, so that all have the winding of the first. Triangles with a repeated
    corner, which only lead to the next part of a strip, are omitted.
    """
    places = np.arange(len(corners))
    place_in_strip = places - np.maximum.accumulate(np.where(corners < 0, places, -1)) - 1
    thirds = np.flatnonzero(place_in_strip >= 2)
    is_reversed = place_in_strip[thirds] % 2 == 1
    firsts, seconds = thirds - 2 + is_reversed, thirds - 1 - is_reversed
    faces = np.stack([corners[firsts], corners[seconds], corners[thirds]], axis=1).astype(np.int64)
    return faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]


def is_padding(rest: bytes) -> bool:
    """Whether bytes after the data mean nothing: white space and zeros."""
    return not rest.strip(b" \t\r\n\0")


def refuse_missing_vertices(corners: NDArray[np.integer], num_vertices: int) -> None:
    """Raise DataError unless all corners (any shape) are from 0 to num_vertices - 1."""
    if not corners.size:
        return
    lowest, highest = int(corners.min()), int(corners.max())
    if lowest < 0 or highest >= num_vertices:
        bad = lowest if lowest < 0 else highest
        raise DataError(f"a face refers to vertex {bad} of {num_vertices:,}, counted from 0 (the file is damaged)")


def whole_numbers(values: NDArray[np.number], what: str) -> NDArray[np.integer]:
    """Return numbers as int64; int32 stays int32.

    Raises:
        DataError: naming the first number that is not an integer below 2^53.
    """
    if values.dtype.kind in "iu":
        return np.asarray(values, dtype=np.int32 if values.dtype == np.int32 else np.int64)
    bad = ~(np.abs(values) < 2**53) | (np.rint(values) != values)
    if bad.any():
        raise DataError(f"{what} is {values[bad].flat[0]:g}; expected an integer")
    return values.astype(np.int64)


def rgb_uint8(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return (n, 3) colours from (n, 3 or more) values: floats up to 1 or 255, or integers up to the type's maximum.

    Floats below 2 count as up to 1, because arithmetic exceeds it a little; of 255, they would all be black.
    """
    if values.dtype == np.uint8:
        return np.asarray(values[:, :3], dtype=np.uint8)
    rgb = np.nan_to_num(values[:, :3].astype(np.float64), posinf=0, neginf=0)
    if values.dtype == np.uint16:
        rgb = rgb / 257
    elif values.dtype.kind == "f" and rgb.max(initial=0) < 2:
        rgb = rgb * 255
    return np.asarray(np.rint(np.clip(rgb, 0, 255)), dtype=np.uint8)
