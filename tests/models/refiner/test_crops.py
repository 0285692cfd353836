"""Crops of surfaces with known normals and depths."""

from dataclasses import replace

import numpy as np
import pytest

from featurelib.geometry import View, mirror_xy, rigid
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import cameras_at, crop_camera, render_crops

FRONT = View(0.0)
SIZE = 32


def _plane(slope: float, reach_mm: float = 40.0) -> Mesh:
    """Return the plane z = slope * x around the origin, facing +z."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach_mm
    return Mesh.smooth(np.c_[corners, slope * corners[:, 0]], [[0, 1, 2], [0, 2, 3]])


def test_each_pixel_of_a_plane_has_its_normal_shade_and_depth() -> None:
    slope, width_mm = -0.75, 20.0
    (image,) = render_crops(_plane(slope), cameras_at([FRONT], np.zeros(3), width_mm), SIZE)

    right_mm = ((np.arange(SIZE) + 0.5) / SIZE - 0.5) * width_mm
    normal = np.array([0.6, 0.0, 0.8])
    assert (image[..., 0] == round(255 * 0.9 * (0.15 + 0.85 * normal[2]))).all()
    assert (image[..., 1] == round((normal[0] + 1) * 127.5)).all()
    expected = np.floor((slope * right_mm / (width_mm / 2) + 1) * 127.5 + 0.5)
    assert np.abs(image[..., 2] - expected[None]).max() <= 1


def test_depth_is_clipped_half_a_crop_width_from_the_centre() -> None:
    near, far = (
        render_crops(_plane(0.0), cameras_at([FRONT], np.array([0, 0, z]), 20.0), SIZE)[0, ..., 2]
        for z in (-15.0, 15.0)
    )

    assert (near == 255).all()
    assert (far == 0).all()


def test_a_mesh_with_inverted_winding_gives_the_same_crop(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    inside_out = Mesh.smooth(mesh.vertices_mm, mesh.faces[:, ::-1])
    cameras = cameras_at([View(60.0), View(100.0, 20.0)], landmarks_mm[0], 30.0)

    difference = render_crops(mesh, cameras, SIZE).astype(int) - render_crops(inside_out, cameras, SIZE)

    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("view", [View(0.0), View(75.0, 10.0), View(110.0, -20.0)])
def test_the_mirrored_mesh_gives_the_mirror_image_from_the_mirrored_view(bumpy, view) -> None:
    mesh, landmarks_mm = bumpy
    mirrored_view = View(-view.azimuth_deg, view.elevation_deg)
    (image,) = render_crops(mesh, cameras_at([view], landmarks_mm[0], 30.0), SIZE)
    cameras = cameras_at([mirrored_view], landmarks_mm[0] * (-1, 1, 1), 30.0)
    (mirrored,) = render_crops(mesh.mirrored(), cameras, SIZE)

    expected = image[:, ::-1].astype(int)
    expected[..., 1] = 255 - expected[..., 1]
    surface = expected[..., 2] > 0

    assert (np.abs(mirrored.astype(int) - expected) <= 1)[surface].all(axis=-1).mean() > 0.995
    assert np.allclose(cameras[0].project(landmarks_mm[0] * (-1, 1, 1)), mirror_xy((0.5, 0.5)))


def test_faces_outside_the_window_change_nothing(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    view, width_mm = View(70.0), 24.0
    camera = crop_camera(view.object_from_view, landmarks_mm[0], width_mm)
    xy = camera.project(mesh.vertices_mm[mesh.faces])  # (m, 3, 2)
    inside = (xy.max(axis=1) > 0).all(axis=1) & (xy.min(axis=1) < 1).all(axis=1)
    cropped = replace(mesh, faces=np.ascontiguousarray(mesh.faces[inside]))

    assert 0 < inside.sum() < len(mesh.faces) / 4
    assert (render_crops(mesh, [camera], SIZE) == render_crops(cropped, [camera], SIZE)).all()


def test_rotating_the_camera_is_rotating_the_object(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    turn = View(20.0, 15.0).object_from_view
    turned = mesh.moved(rigid(turn))
    straight = render_crops(mesh, [crop_camera(View(80.0).object_from_view, landmarks_mm[0], 30.0)], SIZE)
    following = render_crops(
        turned, [crop_camera(turn @ View(80.0).object_from_view, turn @ landmarks_mm[0], 30.0)], SIZE
    )

    assert (np.abs(straight.astype(int) - following) <= 1).all(axis=-1).mean() > 0.99
