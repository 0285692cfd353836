"""The result of all readers, and the triangulation and checks that they share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits


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


def fans(counts: NDArray[np.integer], corners: NDArray[np.integer], limits: Limits) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of polygons, each a fan around its first corner.

    Args:
        counts: (p,) number of corners of each polygon; fewer than three give no triangle.
        corners: (sum of counts,) indices of vertices, polygon after polygon.
        limits: for the number of triangles.

    Raises:
        DataError: if there are no triangles, or more than the limit.
    """
    starts = np.cumsum(counts) - counts
    num_triangles = np.maximum(counts - 2, 0)
    total = int(num_triangles.sum())
    limits.check_counts(0, total)
    first = np.repeat(starts, num_triangles)
    step = np.arange(total) - np.repeat(np.cumsum(num_triangles) - num_triangles, num_triangles)
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1).astype(np.int64)


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
    """Return (n, 3) colours from (n, 3 or more) values: floats up to 1 or 255, or integers up to the type's maximum."""
    if values.dtype == np.uint8:
        return np.asarray(values[:, :3], dtype=np.uint8)
    rgb = np.nan_to_num(values[:, :3].astype(np.float64), posinf=0, neginf=0)
    if values.dtype == np.uint16:
        rgb = rgb / 257
    elif values.dtype.kind == "f" and rgb.max(initial=0) <= 1:
        rgb = rgb * 255
    return np.asarray(np.rint(np.clip(rgb, 0, 255)), dtype=np.uint8)
