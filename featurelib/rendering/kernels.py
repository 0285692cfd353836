"""Project vertices and draw triangles: the loops of the raster backend, compiled by numba.

`featurelib.rendering.raster` describes the algorithm. The functions write into buffers of the caller and share:

corners: what `project` computes for n vertices, (xy (n, 2) int32, depths (n,) float32, shades (n,) float32). xy are
    positions in 1 / SUBPIXELS of a pixel from the centre of the top-left pixel, x to the right and y down. A
    perspective camera stores 1 / depth and shade / depth, which are linear in the image. A vertex nearer than the
    near plane has depth 0.
levels: (whether the camera is perspective, depth of level 0 in mm, levels per mm).
z_buffer: (size * stride,) one number per pixel, in rows of `stride` = size + LANES. The upper bits hold the depth
    level, so the smaller number is nearer. uint32 holds 8 bits of grey below the level, uint64 32 bits of face number.

Settings of other modules are arguments, because numba's cache on disk does not notice a change in another file.
error_model="numpy" omits Python's check for division by zero, which would prevent vectorisation.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

SUBPIXELS = 256
"""Steps per pixel: 8 bits, as on graphics cards."""

LANES = 16
"""Pixels of a row that a small triangle tests at once: 16 float32 fill one or two vector registers. Rows of the
z-buffer are longer than the image by this number, so that the last columns need no special case. Most triangles are
narrower than 4 pixels, but LLVM unrolls a loop over 8 before it can vectorise it, which takes four times as long."""

EXACT = 2**24
"""Integers up to this are exact in float32."""

MAX_STEPS = 2**29
"""Positions are clamped to this many steps (2 million pixels), so that edge functions fit into 64 bits."""

DEPTH_LEVELS = 2**24 - 1
"""Depth has 24 bits, as in OpenGL, in equal steps over the mesh: 0.00003 mm for an object of 500 mm."""

Corners = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]
Levels = tuple[bool, np.float32, np.float32]
Pair = tuple[int, int]
Plane = tuple[np.float32, np.float32, np.float32]
"""A value at corner a, and the differences of corners b and c from it."""

_f = np.float32


class Triangle(NamedTuple):
    """One triangle of the image, with corners a, b, c ordered so that its area is positive.

    weights: of corners b and c at the first pixel, twice the areas of the triangles (a, p, c) and (a, b, p).
    to_right, to_below: change of the weights per pixel. area: twice the area of the triangle.
    """

    face: int
    weights: Pair
    to_right: Pair
    to_below: Pair
    area: int
    depth: Plane
    shade: Plane


@njit(cache=True, nogil=True, error_model="numpy")
def project(
    vertices: NDArray[np.float32],
    normals: NDArray[np.float32],
    camera_from_object: NDArray[np.float64],
    perspective: bool,
    near_mm: float,
    px_per_unit: float,
    size: int,
    gain: float,
    offset: float,
    corners: Corners,
) -> tuple[float, float]:
    """Compute the corners of vertices and normals (n, 3), and return the nearest and farthest depth in mm.

    A shade is gain |n . l| + offset. A perspective camera ignores vertices nearer than near_mm.
    """
    xy, depths, shades = corners
    m = camera_from_object
    middle = (size - 1) / 2
    nearest, farthest = np.inf, -np.inf
    for i in range(len(vertices)):
        x, y, z = np.float64(vertices[i, 0]), np.float64(vertices[i, 1]), np.float64(vertices[i, 2])
        right = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
        up = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
        depth = -(m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3])
        a, b, c = np.float64(normals[i, 0]), np.float64(normals[i, 1]), np.float64(normals[i, 2])
        cosine = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c
        scale, share = px_per_unit, 1.0
        depths[i] = depth
        if perspective:
            if depth < near_mm:
                depths[i] = 0
                continue
            sideways = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c
            upwards = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c
            # The vector to the camera is the negated vertex in the camera frame, (-right, -up, depth).
            cosine = (cosine * depth - sideways * right - upwards * up) / math.sqrt(right**2 + up**2 + depth**2)
            scale, share = px_per_unit / depth, 1 / depth
            depths[i] = share
        xy[i, 0] = min(max(round((right * scale + middle) * SUBPIXELS), -MAX_STEPS), MAX_STEPS)
        xy[i, 1] = min(max(round((middle - up * scale) * SUBPIXELS), -MAX_STEPS), MAX_STEPS)
        shades[i] = (min(abs(cosine), 1.0) * gain + offset) * share
        nearest, farthest = min(nearest, depth), max(farthest, depth)
    return nearest, farthest


@njit(cache=True, nogil=True, error_model="numpy")
def draw(
    faces: NDArray[np.int32], corners: Corners, levels: Levels, z_buffer: NDArray[Any], size: int, stride: int
) -> None:
    """Draw the triangles `faces` (m, 3) into a z-buffer."""
    xy, depths, shades = corners
    last = size - 1
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        xa, ya, xb, yb, xc, yc = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1], xy[c, 0], xy[c, 1]
        left, right = min(xa, xb, xc), max(xa, xb, xc)
        top, bottom = min(ya, yb, yc), max(ya, yb, yc)
        # >> 8 divides by SUBPIXELS and rounds down
        first_column, last_column = max((left + SUBPIXELS - 1) >> 8, 0), min(right >> 8, last)
        first_row, last_row = max((top + SUBPIXELS - 1) >> 8, 0), min(bottom >> 8, last)
        if first_column > last_column or first_row > last_row:
            continue
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0 or (levels[0] and min(depths[a], depths[b], depths[c]) <= 0):
            continue
        if area < 0:
            b, c, xb, yb, xc, yc, area = c, b, xc, yc, xb, yb, -area
        across, down = (first_column << 8) - xa, (first_row << 8) - ya
        triangle = Triangle(
            face,
            ((yc - ya) * across - (xc - xa) * down, (xb - xa) * down - (yb - ya) * across),
            ((yc - ya) << 8, (ya - yb) << 8),
            ((xa - xc) << 8, (xb - xa) << 8),
            area,
            (depths[a], depths[b] - depths[a], depths[c] - depths[a]),
            (shades[a], shades[b] - shades[a], shades[c] - shades[a]),
        )
        start, num_rows = first_row * stride + first_column, last_row - first_row + 1
        if right - left < LANES * SUBPIXELS and (right - left) * (bottom - top) <= EXACT:
            _fill_small(triangle, levels, z_buffer, start, stride, num_rows)
        else:
            end = start + last_column - first_column + 1
            _fill_large(triangle, levels, z_buffer, start, end, stride, num_rows)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_small(
    triangle: Triangle, levels: Levels, z_buffer: NDArray[Any], start: int, stride: int, num_rows: int
) -> None:
    """Draw a triangle narrower than LANES pixels by testing LANES pixels of each row.

    No weight inside the bounding box exceeds the area of the box, which is at most EXACT.
    """
    face, weights, to_right, to_below, area, depth, shade = triangle
    b_start, c_start, whole = _f(weights[0]), _f(weights[1]), _f(area)
    b_right, c_right, b_below, c_below = _f(to_right[0]), _f(to_right[1]), _f(to_below[0]), _f(to_below[1])
    share = _f(1) / whole
    depth_b, depth_c, shade_b, shade_c = depth[1] * share, depth[2] * share, shade[1] * share, shade[2] * share
    for _ in range(num_rows):
        row = z_buffer[start : start + LANES]
        for lane in range(LANES):
            b, c = b_start + _f(lane) * b_right, c_start + _f(lane) * c_right
            depth_here = depth[0] + (b * depth_b + c * depth_c)
            shade_here = shade[0] + (b * shade_b + c * shade_c)
            packed = _packed(depth_here, shade_here, face, levels, row[lane])
            is_inside = (b >= 0) & (c >= 0) & (whole - b - c >= 0) & (packed < row[lane])
            row[lane] = packed if is_inside else row[lane]
        start += stride
        b_start += b_below
        c_start += c_below


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_large(
    triangle: Triangle, levels: Levels, z_buffer: NDArray[Any], start: int, end: int, stride: int, num_rows: int
) -> None:
    """Draw a triangle of any size; its three edges give the first and last column of each row.

    Quotients of integers below 2**53 are rounded so little that floor and ceil give the exact column.
    """
    face, weights, to_right, to_below, area, depth, shade = triangle
    b_start, c_start, whole = float(weights[0]), float(weights[1]), float(area)
    b_right, c_right = float(to_right[0]), float(to_right[1])
    for _ in range(num_rows):
        first, last = 0.0, float(end - start - 1)
        a_start = whole - b_start - c_start
        for weight, step in ((a_start, -b_right - c_right), (b_start, b_right), (c_start, c_right)):
            if step > 0:
                first = max(first, math.ceil(-weight / step))
            elif step < 0:
                last = min(last, math.floor(weight / -step))
            elif weight < 0:
                last = -1.0
        row = z_buffer[start:end]
        for column in range(int(first), int(last) + 1):
            b, c = _f((b_start + column * b_right) / whole), _f((c_start + column * c_right) / whole)
            depth_here = depth[0] + (b * depth[1] + c * depth[2])
            shade_here = shade[0] + (b * shade[1] + c * shade[2])
            row[column] = min(_packed(depth_here, shade_here, face, levels, row[column]), row[column])
        start += stride
        end += stride
        b_start += to_below[0]
        c_start += to_below[1]


def _packed(depth: Any, shade: Any, face: Any, levels: Any, old: Any) -> Any:
    """Return a surface's number for a z-buffer of the type of `old`; `_packed_for` has the compiled forms."""
    raise NotImplementedError("only compiled code calls this")


@overload(_packed, inline="always")
def _packed_for(depth: Any, shade: Any, face: Any, levels: Any, old: Any) -> Callable[..., Any]:
    """Choose the form by the z-buffer's type when the caller is compiled."""

    def with_grey(depth: Any, shade: Any, face: Any, levels: Any, old: Any) -> Any:
        if levels[0]:
            depth = _f(1) / depth
            shade = shade * depth
        level = np.int32((depth - levels[1]) * levels[2])
        return np.uint32((np.uint32(level) << np.uint32(8)) | np.uint32(np.int32(shade)))

    def with_face(depth: Any, shade: Any, face: Any, levels: Any, old: Any) -> Any:
        if levels[0]:
            depth = _f(1) / depth
        level = np.int32((depth - levels[1]) * levels[2])
        return np.uint64((np.uint64(level) << np.uint64(32)) | np.uint64(face))

    return with_grey if old == types.uint32 else with_face
