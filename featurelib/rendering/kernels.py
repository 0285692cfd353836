"""The loops of the raster back end, compiled by numba. `featurelib.rendering.raster` tells how they play together.

They work in place on buffers of the caller, and share these values:

corners: what `project` makes of the n vertices: (xy (n, 2) int32, depths (n,) float32, shades (n,) float32). xy are
    positions in 1 / SUBPIXELS of a pixel, counted from the centre of the top-left pixel, x to the right and y down.
    With a perspective camera depths hold 1 / depth and shades are divided by the depth, since those are what is
    linear in the image; a vertex too near to the camera has the depth 0.
levels: (whether the camera is perspective, depth of level 0 in mm, levels a mm).
z_buffer: (size * stride,) one number a pixel, rows `stride` = size + LANES apart. The upper bits are the depth's
    level, so the smaller number is nearer. Type uint32 keeps 8 bits of grey below it, uint64 32 bits of face number.

Whatever other modules decide comes in as an argument: numba's cache on disk looks at this file alone, and would go on
with an old constant of theirs. error_model="numpy" leaves out Python's test for division by zero, which would keep the
loops from being vectorised.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

SUBPIXELS = 256
"""Steps to a pixel, as graphics cards have it (8 bits)."""

LANES = 16
"""Pixels of a row that a small triangle tests at once: 16 float32 are one or two vector registers. The z-buffer's
rows are longer than the image's by as many, so that the last columns need no special case. Most triangles are
narrower than 4 pixels, but a loop over 8 is unrolled by LLVM before it can be vectorised, and then takes four times
as long as this one."""

EXACT = 2**24
"""Whole numbers up to this are exact in float32."""

MAX_STEPS = 2**29
"""Positions are held within this many steps (2 million pixels), so that no edge function leaves 64 bits."""

DEPTH_LEVELS = 2**24 - 1
"""Depth takes 24 bits, as in OpenGL, but spread evenly over the mesh: 0.00003 mm for an object of 500 mm."""

EMPTY_GREY = np.uint32(2**32 - 1)
EMPTY_FACE = np.uint64(2**64 - 1)

Corners = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]
Levels = tuple[bool, np.float32, np.float32]
Pair = tuple[int, int]
Plane = tuple[np.float32, np.float32, np.float32]
"""A value at corner a, and what corners b and c have more."""

_f = np.float32


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
    """Fill the corners with vertices and normals (n, 3) and return their nearest and farthest depth in mm.

    A shade is gain |n . l| + offset. Nothing nearer to a perspective camera than near_mm counts.
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
        facing = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c
        scale, share = px_per_unit, 1.0
        depths[i] = depth
        if perspective:
            if depth < near_mm:
                depths[i] = 0
                continue
            sideways = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c
            upwards = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c
            # The way to the camera is minus the vertex in the camera frame, (-right, -up, depth).
            facing = (facing * depth - sideways * right - upwards * up) / math.sqrt(right**2 + up**2 + depth**2)
            scale, share = px_per_unit / depth, 1 / depth
            depths[i] = share
        xy[i, 0] = min(max(round((right * scale + middle) * SUBPIXELS), -MAX_STEPS), MAX_STEPS)
        xy[i, 1] = min(max(round((middle - up * scale) * SUBPIXELS), -MAX_STEPS), MAX_STEPS)
        shades[i] = (min(abs(facing), 1.0) * gain + offset) * share
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
        # The weights of b and c in a point p: twice the areas of the triangles a, p, c and a, b, p.
        across, down = (first_column << 8) - xa, (first_row << 8) - ya
        weights = ((yc - ya) * across - (xc - xa) * down, (xb - xa) * down - (yb - ya) * across)
        to_right = ((yc - ya) << 8, (ya - yb) << 8)
        to_below = ((xa - xc) << 8, (xb - xa) << 8)
        depth = (depths[a], depths[b] - depths[a], depths[c] - depths[a])
        shade = (shades[a], shades[b] - shades[a], shades[c] - shades[a])
        start, num_rows = first_row * stride + first_column, last_row - first_row + 1
        if right - left < LANES * SUBPIXELS and (right - left) * (bottom - top) <= EXACT:
            _fill_small(
                face, weights, to_right, to_below, area, depth, shade, levels, z_buffer, start, stride, num_rows
            )
        else:
            end = start + last_column - first_column + 1
            _fill_large(
                face, weights, to_right, to_below, area, depth, shade, levels, z_buffer, start, end, stride, num_rows
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_small(
    face: int,
    weights: Pair,
    to_right: Pair,
    to_below: Pair,
    area: int,
    depth: Plane,
    shade: Plane,
    levels: Levels,
    z_buffer: NDArray[Any],
    start: int,
    stride: int,
    num_rows: int,
) -> None:
    """Draw a triangle of less than LANES pixels' width, testing LANES pixels a row whatever its shape.

    No weight inside its bounding box is larger than the box itself, which is at most EXACT.
    """
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
    face: int,
    weights: Pair,
    to_right: Pair,
    to_below: Pair,
    area: int,
    depth: Plane,
    shade: Plane,
    levels: Levels,
    z_buffer: NDArray[Any],
    start: int,
    end: int,
    stride: int,
    num_rows: int,
) -> None:
    """Draw a triangle of any size: where each row begins and ends follows from the three edges.

    The quotients of whole numbers below 2**53 are rounded so little that floor and ceil cannot go wrong.
    """
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
    """Return what a surface writes into a z-buffer of the type of `old`; `_packed_for` holds the compiled forms."""
    raise NotImplementedError("only compiled code calls this")


@overload(_packed, inline="always")
def _packed_for(depth: Any, shade: Any, face: Any, levels: Any, old: Any) -> Callable[..., Any]:
    """Choose by the z-buffer's type, while the caller is compiled."""

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


@njit(cache=True, nogil=True, error_model="numpy")
def unpack_grey(
    z_buffer: NDArray[Any], stride: int, levels: Levels, pixels: NDArray[np.uint8], depth_mm: NDArray[np.float32]
) -> None:
    """Write the image and the depth (size, size) that a uint32 z-buffer holds, and empty it."""
    size = len(pixels)
    mm_per_level = _f(1) / levels[2]
    for row in range(size):
        for column in range(size):
            packed = z_buffer[row * stride + column]
            pixels[row, column] = np.uint8(packed & np.uint32(255))
            depth = levels[1] + _f(np.int32(packed >> np.uint32(8))) * mm_per_level
            depth_mm[row, column] = depth if packed != EMPTY_GREY else _f(np.inf)
    z_buffer[:] = EMPTY_GREY


@njit(cache=True, nogil=True, error_model="numpy")
def unpack_colour(
    z_buffer: NDArray[Any],
    stride: int,
    levels: Levels,
    faces: NDArray[np.int32],
    corners: Corners,
    colours: NDArray[np.uint8],
    uv: NDArray[np.float32],
    texture: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    depth_mm: NDArray[np.float32],
) -> None:
    """Write the image (size, size, 3), where it is no background, and depth of a uint64 z-buffer, and empty it.

    colours are (n, 3); with a texture (h, w, 3) of any size but zero, uv (n, 2) is used instead.
    """
    size = len(pixels)
    mm_per_level = _f(1) / levels[2]
    albedo = np.empty(3)
    for row in range(size):
        for column in range(size):
            packed = z_buffer[row * stride + column]
            if packed == EMPTY_FACE:
                depth_mm[row, column] = np.inf
                continue
            depth_mm[row, column] = levels[1] + _f(np.int32(packed >> np.uint64(32))) * mm_per_level
            a, b, c = faces[np.int64(packed & np.uint64(2**32 - 1))]
            share_a, share_b, share_c, intensity = _shares(corners, levels[0], a, b, c, column << 8, row << 8)
            if len(texture):
                u = share_a * uv[a, 0] + share_b * uv[b, 0] + share_c * uv[c, 0]
                v = share_a * uv[a, 1] + share_b * uv[b, 1] + share_c * uv[c, 1]
                _sample(texture, u, v, albedo)
            else:
                for k in range(3):
                    albedo[k] = share_a * colours[a, k] + share_b * colours[b, k] + share_c * colours[c, k]
            for k in range(3):
                pixels[row, column, k] = np.uint8(intensity * albedo[k] + 0.5)
    z_buffer[:] = EMPTY_FACE


@njit(cache=True, nogil=True, error_model="numpy")
def _shares(
    corners: Corners, perspective: bool, a: int, b: int, c: int, x: int, y: int
) -> tuple[float, float, float, float]:
    """Return the shares of a, b and c in the surface under the point x, y of their triangle, and its intensity."""
    xy, depths, shades = corners
    xa, ya, xb, yb, xc, yc = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1], xy[c, 0], xy[c, 1]
    area = float((xb - xa) * (yc - ya) - (xc - xa) * (yb - ya))
    share_b = ((yc - ya) * (x - xa) - (xc - xa) * (y - ya)) / area
    share_c = ((xb - xa) * (y - ya) - (yb - ya) * (x - xa)) / area
    share_a = 1 - share_b - share_c
    intensity = share_a * shades[a] + share_b * shades[b] + share_c * shades[c]
    if perspective:
        share_a, share_b, share_c = share_a * depths[a], share_b * depths[b], share_c * depths[c]
    total = share_a + share_b + share_c if perspective else 1.0
    return share_a / total, share_b / total, share_c / total, intensity / total


@njit(cache=True, nogil=True, error_model="numpy")
def _sample(texture: NDArray[np.uint8], u: float, v: float, albedo: NDArray[np.float64]) -> None:
    """Write the texture's colour at u, v into `albedo` (3,): bilinear between pixel centres, repeated at the edges."""
    height, width = texture.shape[:2]
    x, y = u * width - 0.5, (1 - v) * height - 0.5
    column, row = math.floor(x), math.floor(y)
    right, down = x - column, y - row
    c0, c1, r0, r1 = int(column) % width, int(column + 1) % width, int(row) % height, int(row + 1) % height
    for k in range(3):
        above = texture[r0, c0, k] * (1 - right) + texture[r0, c1, k] * right
        below = texture[r1, c0, k] * (1 - right) + texture[r1, c1, k] * right
        albedo[k] = above * (1 - down) + below * down
