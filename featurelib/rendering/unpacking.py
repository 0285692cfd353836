"""Convert z-buffers to images and depths: the last loops of the raster backend, compiled by numba.

`featurelib.rendering.kernels` describes the buffers. Positions there have 8 bits below the pixel, hence `<< 8`.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featurelib.rendering.kernels import Corners, Levels

EMPTY_GREY = np.uint32(2**32 - 1)
EMPTY_FACE = np.uint64(2**64 - 1)

_f = np.float32


@njit(cache=True, nogil=True, error_model="numpy")
def unpack_grey(
    z_buffer: NDArray[Any], stride: int, levels: Levels, pixels: NDArray[np.uint8], depth_mm: NDArray[np.float32]
) -> None:
    """Write the image and the depth (size, size) of a uint32 z-buffer, and empty it."""
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
    """Write the foreground of the image (size, size, 3) and the depth of a uint64 z-buffer, and empty it.

    The albedo is the texture (h, w, 3) at uv (n, 2) if the texture has pixels, else the vertex colours (n, 3).
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
    """Return the barycentric coordinates of the image point x, y in the triangle a, b, c, and the intensity there."""
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
    """Write the texture's colour at u, v into `albedo` (3,): bilinear between pixel centres, repeated beyond edges."""
    height, width = texture.shape[:2]
    x, y = u * width - 0.5, (1 - v) * height - 0.5
    column, row = math.floor(x), math.floor(y)
    right, down = x - column, y - row
    c0, c1, r0, r1 = int(column) % width, int(column + 1) % width, int(row) % height, int(row + 1) % height
    for k in range(3):
        above = texture[r0, c0, k] * (1 - right) + texture[r0, c1, k] * right
        below = texture[r1, c0, k] * (1 - right) + texture[r1, c1, k] * right
        albedo[k] = above * (1 - down) + below * down
