"""Crops: close-up renders of the surface around a point, in three channels.

0. Shading: the headlight of `featurelib.rendering.shading` on a white background; it does not depend on the side.
1. The right component of the normal, -1 to 1 as 0 to 255. Back faces have their normal inverted, so a mesh with
   inverted winding gives the same image.
2. Depth relative to the crop's centre: half a crop width nearer is 255, half a width farther is 0, clipped; the
   background is 0.

Crops have no colours or textures, since the landmark is a feature of the shape.

The kernels of the raster back end draw the crops; a face outside the window costs only its bounding-box test. A
96-pixel crop of a head of 34,332 faces takes 0.8 ms on one core.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featurelib.geometry import Camera, Orthographic, View, rigid
from featurelib.geometry.rig import camera_distance_mm
from featurelib.meshes import Mesh
from featurelib.rendering.kernels import DEPTH_LEVELS, LANES, draw, project
from featurelib.rendering.shading import ALBEDO, AMBIENT, BACKGROUND, NEAR_MM
from featurelib.rendering.unpacking import EMPTY_FACE

CHANNELS = 3

BEHIND = 0.03
"""A point is visible if the surface is in front of it by at most this share of the crop's width."""


def crop_camera(rotation: NDArray[np.float64], centre_mm: NDArray[np.float64], width_mm: float) -> Camera:
    """Return the orthographic camera of a crop.

    Args:
        rotation: (3, 3) object from camera, as `View.object_from_view`.
        centre_mm: (3,) point in the centre of the image, object frame.
        width_mm: of the image at the object.
    """
    lens = Orthographic(width_mm / 2)
    return Camera(lens, rigid(rotation, centre_mm + camera_distance_mm(lens, width_mm) * rotation[:, 2]))


def cameras_at(views: Sequence[View], centre_mm: NDArray[np.float64], width_mm: float) -> list[Camera]:
    """Return the cameras (v) of the views, with one point (3,) in the centre of each image."""
    return [crop_camera(view.object_from_view, centre_mm, width_mm) for view in views]


def render_crops(mesh: Mesh, cameras: Sequence[Camera], size_px: int) -> NDArray[np.uint8]:
    """Return the images (n, size_px, size_px, 3) of n cameras from `crop_camera`."""
    images = np.empty((len(cameras), size_px, size_px, CHANNELS), np.uint8)
    vertices_mm, origin_mm = mesh.in_single_precision()
    count, stride = len(vertices_mm), size_px + LANES
    corners = np.empty((count, 2), np.int32), np.empty(count, np.float32), np.empty(count, np.float32)
    z_buffer = np.full(size_px * stride, EMPTY_FACE)
    for camera, image in zip(cameras, images, strict=True):
        half_mm = float(camera.lens.half_height_at(1.0))
        pose = np.ascontiguousarray(camera.relative_to(origin_mm).camera_from_object[:3])
        gain, offset = 255 * ALBEDO * (1 - AMBIENT), 255 * ALBEDO * AMBIENT
        nearest, farthest = project(
            vertices_mm, mesh.normals, pose, False, NEAR_MM, size_px / 2 / half_mm, size_px, gain, offset, corners
        )
        margin_mm = 1e-5 * (farthest - nearest + abs(nearest) + abs(farthest)) + 1e-9
        first_mm, span_mm = nearest - margin_mm, farthest - nearest + 2 * margin_mm
        levels = (False, np.float32(first_mm), np.float32(DEPTH_LEVELS / span_mm))
        draw(mesh.faces, corners, levels, z_buffer, size_px, stride)
        middle_mm = camera_distance_mm(camera.lens, 2 * half_mm)
        _unpack(z_buffer, stride, mesh.faces, mesh.normals, corners, pose[0], middle_mm, half_mm, BACKGROUND, image)
    return images


def visible_points(image: NDArray[np.uint8], camera: Camera, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether a crop shows points (n, 3): the depth channel has no surface in front of them.

    A point is compared with the farthest surface in the 3 x 3 pixels around it, because a landmark on a silhouette
    shares its pixel with the surface in front of it. A point outside the crop, or farther from its centre than half a
    width along the axis, is not visible; nor is NaN.
    """
    half_mm = float(camera.lens.half_height_at(1.0))
    nearer = (camera_distance_mm(camera.lens, 2 * half_mm) - camera.depth_mm(points_mm)) / half_mm
    size = len(image)
    pixels = np.floor(camera.project(points_mm) * size)
    inside = ((pixels >= 0) & (pixels < size)).all(axis=1) & (np.abs(nearer) < 1)
    columns, rows = (np.where(inside[:, None], pixels, 0).astype(int) + 1).T
    padded = np.pad(image[..., 2], 1, mode="edge")
    around = np.min([padded[rows + i, columns + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
    return inside & (around / 127.5 - 1 <= nearer + 2 * BEHIND)


@njit(cache=True, nogil=True, error_model="numpy")
def _unpack(
    z_buffer: NDArray[np.uint64],
    stride: int,
    faces: NDArray[np.int32],
    normals: NDArray[np.float32],
    corners: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]],
    right: NDArray[np.float64],
    middle_mm: float,
    half_mm: float,
    background: int,
    image: NDArray[np.uint8],
) -> None:
    """Write the image (size, size, 3) of a z-buffer of face numbers, and clear the z-buffer.

    right: (4,) the first row of camera_from_object. middle_mm: the depth of half grey.
    """
    xy, depths, shades = corners
    size = len(image)
    for row in range(size):
        for column in range(size):
            packed = z_buffer[row * stride + column]
            if packed == EMPTY_FACE:
                image[row, column, 0], image[row, column, 1], image[row, column, 2] = background, 128, 0
                continue
            a, b, c = faces[np.int64(packed & np.uint64(2**32 - 1))]
            xa, ya = np.int64(xy[a, 0]), np.int64(xy[a, 1])
            xb, yb = np.int64(xy[b, 0]) - xa, np.int64(xy[b, 1]) - ya
            xc, yc = np.int64(xy[c, 0]) - xa, np.int64(xy[c, 1]) - ya
            x, y = (column << 8) - xa, (row << 8) - ya  # 1 / SUBPIXELS of a pixel
            area = float(xb * yc - xc * yb)
            share_b, share_c = (yc * x - xc * y) / area, (xb * y - yb * x) / area
            share_a = 1 - share_b - share_c
            sideways = 0.0
            for axis in range(3):
                normal = share_a * normals[a, axis] + share_b * normals[b, axis] + share_c * normals[c, axis]
                sideways += right[axis] * normal
            # y points down, so a face that is counter-clockwise to the viewer has a negative area
            sideways = min(max(-sideways if area > 0 else sideways, -1.0), 1.0)
            depth_mm = share_a * depths[a] + share_b * depths[b] + share_c * depths[c]
            nearer = min(max((middle_mm - depth_mm) / half_mm, -1.0), 1.0)
            shade = share_a * shades[a] + share_b * shades[b] + share_c * shades[c]
            image[row, column, 0] = np.uint8(min(max(shade, 0.0), 255.0) + 0.5)
            image[row, column, 1] = np.uint8((sideways + 1) * 127.5 + 0.5)
            image[row, column, 2] = np.uint8((nearer + 1) * 127.5 + 0.5)
    z_buffer[:] = EMPTY_FACE
