"""The CPU backend: a z-buffer rasteriser in numba, with one thread and the same bytes in every run.

A view is drawn in three steps:

1. Each vertex is projected, shaded and snapped to 1 / SUBPIXELS of a pixel. With integer positions the test whether
   a pixel's centre is inside a triangle is exact: an edge shared by two triangles leaves no hole, and a mirrored mesh
   covers exactly the mirrored pixels. A centre on an edge belongs to both triangles.
2. Each triangle writes one number per pixel: depth in the upper bits, grey (or the triangle's number) in the lower.
   The minimum is kept, so that the depth test and the write are one instruction without a branch, and the order of
   the triangles in the file has no effect.
3. The numbers are unpacked. A mesh with colours is shaded in this step, once per visible pixel.

A triangle with a vertex nearer to a perspective camera than shading.NEAR_MM is omitted as a whole.

No function is compiled with fastmath, so that machines with and without fused multiply-add give the same result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import Camera, Perspective
from featurelib.meshes import Mesh
from featurelib.rendering.kernels import DEPTH_LEVELS, LANES, draw, project
from featurelib.rendering.shading import ALBEDO, AMBIENT, BACKGROUND, NEAR_MM
from featurelib.rendering.types import RenderedView
from featurelib.rendering.unpacking import EMPTY_FACE, EMPTY_GREY, unpack_colour, unpack_grey


class RasterRenderer:
    """A renderer on one CPU core; it reuses its z-buffers for all views."""

    name = "raster"

    def __init__(self) -> None:
        """Start without z-buffers; the first view allocates one."""
        self._z_buffers: dict[tuple[int, bool], NDArray[Any]] = {}

    def render(self, mesh: Mesh, cameras: Sequence[Camera], size: int) -> Iterator[RenderedView]:
        """Yield the image of each camera, `size` pixels wide and high."""
        prepared = _Prepared.of(mesh)
        for camera in cameras:
            yield _view(prepared, camera, size, self._z_buffer(size, prepared.is_coloured))

    def close(self) -> None:
        """Free the z-buffers."""
        self._z_buffers.clear()

    def _z_buffer(self, size: int, is_coloured: bool) -> NDArray[Any]:
        """Return an empty z-buffer; unpacking a view empties it again."""
        empty = EMPTY_FACE if is_coloured else EMPTY_GREY
        if (size, is_coloured) not in self._z_buffers:
            self._z_buffers[size, is_coloured] = np.full(size * (size + LANES), empty)
        return self._z_buffers[size, is_coloured]


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A mesh with buffers for its n projected vertices (`corners` in `kernels`) and its appearance.

    vertices_mm: (n, 3) of the mesh relative to `origin_mm` (3,).
    appearance: colours (n, 3), uv (n, 2) and texture (h, w, 3); of length zero where the mesh has none.
    """

    mesh: Mesh
    vertices_mm: NDArray[np.float32]
    origin_mm: NDArray[np.float64]
    is_coloured: bool
    corners: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]
    appearance: tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        """Return the mesh with buffers for its views."""
        count = len(mesh.vertices_mm)
        colours, uv, texture = np.zeros((0, 3), np.uint8), np.zeros((0, 2), np.float32), np.zeros((0, 0, 3), np.uint8)
        if mesh.uv is not None and mesh.texture is not None:
            uv, texture = mesh.uv, mesh.texture
        elif mesh.colours is not None:
            colours = mesh.colours
        corners = np.zeros((count, 2), np.int32), np.zeros(count, np.float32), np.zeros(count, np.float32)
        return cls(mesh, *mesh.in_single_precision(), len(colours) + len(texture) > 0, corners, (colours, uv, texture))


def _view(prepared: _Prepared, camera: Camera, size: int, z_buffer: NDArray[Any]) -> RenderedView:
    """Return one image; the z-buffer must be empty, and is empty again afterwards."""
    mesh, corners, stride = prepared.mesh, prepared.corners, size + LANES
    is_perspective = isinstance(camera.lens, Perspective)
    px_per_unit = size / 2 / float(camera.lens.half_height_at(1.0))
    # Rounding by + 0.5 costs nothing in the vertices' shades; colours are rounded when their pixels are shaded.
    scale, half = (1.0, 0.0) if prepared.is_coloured else (255 * ALBEDO, 0.5)
    gain, offset = scale * (1 - AMBIENT), scale * AMBIENT + half
    pose = np.ascontiguousarray(camera.relative_to(prepared.origin_mm).camera_from_object[:3])
    span_mm = project(
        prepared.vertices_mm, mesh.normals, pose, is_perspective, NEAR_MM, px_per_unit, size, gain, offset, corners
    )
    levels = (is_perspective, *_depth_scale(*span_mm))
    draw(mesh.faces, corners, levels, z_buffer, size, stride)
    depth_mm = np.empty((size, size), np.float32)
    if prepared.is_coloured:
        pixels = np.full((size, size, 3), BACKGROUND, np.uint8)
        unpack_colour(z_buffer, stride, levels, mesh.faces, corners, *prepared.appearance, pixels, depth_mm)
    else:
        pixels = np.empty((size, size), np.uint8)
        unpack_grey(z_buffer, stride, levels, pixels, depth_mm)
    return RenderedView(pixels, depth_mm)


def _depth_scale(nearest_mm: float, farthest_mm: float) -> tuple[np.float32, np.float32]:
    """Return the depth of level 0 in mm, and the levels per mm, for surfaces between two depths.

    A margin at both ends, larger than the rounding errors of float32, keeps interpolated depths inside the levels.
    """
    if nearest_mm > farthest_mm:  # nothing is in front of the camera
        return np.float32(0), np.float32(1)
    span_mm = farthest_mm - nearest_mm
    margin_mm = 4e-6 * (span_mm + abs(nearest_mm) + abs(farthest_mm)) + 1e-9
    return np.float32(nearest_mm - margin_mm), np.float32(DEPTH_LEVELS / (span_mm + 2 * margin_mm))
