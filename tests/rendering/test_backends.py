"""Properties of every backend."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Camera, Orthographic, lens_for, rigid
from featurelib.meshes import Mesh
from featurelib.rendering import open_renderer
from featurelib.rendering.shading import ALBEDO, AMBIENT, BACKGROUND

SIZE = 256


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_landmark_is_drawn_where_the_camera_projects_it(renderer, projection):
    """A small white ball at a landmark has its centroid within 0.2 pixels of the landmark's projection."""
    landmark_mm = np.array([70.0, 25.0, 60.0])
    body = trimesh.creation.icosphere(subdivisions=4, radius=40)
    ball = trimesh.creation.icosphere(subdivisions=3, radius=6).apply_translation(landmark_mm)
    both = trimesh.util.concatenate([body, ball])
    colours = np.where(np.arange(len(both.vertices))[:, None] < len(body.vertices), 20, 255) * np.ones(3)
    mesh = Mesh.smooth(both.vertices, both.faces, colours=colours.astype(np.uint8))
    cameras = DEFAULT_RIG.cameras([5.0, 10.0, -15.0], lens_for(projection, 300.0), 300.0)

    for camera, image in zip(cameras, renderer.render(mesh, cameras, 512), strict=True):
        is_ball = np.isfinite(image.depth_mm) & (image.pixels[:, :, 0] > 30)
        centroid = np.argwhere(is_ball).mean(axis=0)[::-1] + 0.5
        assert np.linalg.norm(centroid - camera.project(landmark_mm) * 512) < 0.2


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_depth_is_the_distance_along_the_axis(renderer, projection, around):
    """The middle of a sphere is its radius nearer than its centre, and the background is infinitely far."""
    ball = trimesh.creation.icosphere(subdivisions=5, radius=70)
    mesh = Mesh.smooth(ball.apply_translation([30, 20, 10]).vertices, ball.faces)

    for camera, image in zip(
        around(mesh, projection), renderer.render(mesh, around(mesh, projection), 255), strict=True
    ):
        assert image.depth_mm.dtype == np.float32
        assert image.depth_mm.shape == (255, 255)
        assert image.depth_mm[127, 127] == pytest.approx(camera.depth_mm(mesh.centre_mm) - 70, abs=0.1)
        assert np.isposinf(image.depth_mm[0, 0])


def test_grey_follows_the_formula(renderer, around):
    """A sphere is brightest in its middle, by the albedo, darkest at its edge, by the ambient share, on white."""
    ball = trimesh.creation.icosphere(subdivisions=6, radius=70)
    mesh = Mesh.smooth(ball.vertices, ball.faces)
    [image] = renderer.render(mesh, around(mesh, "orthographic")[4:5], 300)

    across_mm = (np.arange(300) + 0.5 - 150) * (300 / 300)
    off_axis = np.hypot(*np.meshgrid(across_mm, across_mm)) / 70
    expected = 255 * ALBEDO * (AMBIENT + (1 - AMBIENT) * np.sqrt(np.clip(1 - off_axis**2, 0, 1)))
    assert image.pixels.shape == (300, 300)
    assert image.pixels.dtype == np.uint8
    assert image.pixels[off_axis < 0.99] == pytest.approx(expected[off_axis < 0.99], abs=2.5)
    assert (image.pixels[off_axis > 1.0] == BACKGROUND).all()


def test_orthographic_size_does_not_depend_on_the_distance(renderer, bumpy):
    """A camera farther away changes every depth by the difference in distance, and no pixel."""
    near, far = (Camera(Orthographic(150.0), rigid(np.eye(3), [0, 0, distance])) for distance in (300.0, 900.0))

    close, remote = renderer.render(bumpy, [near, far], SIZE)

    assert (close.pixels != remote.pixels).mean() < 1e-3
    inside = np.isfinite(close.depth_mm)
    assert (inside == np.isfinite(remote.depth_mm)).all()
    assert remote.depth_mm[inside] - close.depth_mm[inside] == pytest.approx(600, abs=0.05)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_mirrored_mesh_gives_the_mirrored_image(renderer, projection, bumpy, around):
    """View i of an object is the flipped view n - 1 - i of the mirrored object."""
    cameras = around(bumpy, projection)
    mirrored = bumpy.mirrored(float(bumpy.centre_mm[0]))

    views = list(renderer.render(bumpy, cameras, SIZE))
    partners = list(renderer.render(mirrored, cameras, SIZE))[::-1]

    for view, partner in zip(views, partners, strict=True):
        flipped = partner.pixels[:, ::-1].astype(int)
        assert (np.isfinite(view.depth_mm) != np.isfinite(partner.depth_mm[:, ::-1])).mean() < 1e-4
        assert (np.abs(view.pixels.astype(int) - flipped) > 1).mean() < 1e-4


def test_the_winding_of_faces_does_not_matter(renderer, bumpy, around):
    """The front and the back of a surface have the same shade, and neither is culled."""
    inside_out = replace(bumpy, faces=np.ascontiguousarray(bumpy.faces[:, ::-1]), normals=-bumpy.normals)

    [image], [other] = (renderer.render(mesh, around(bumpy, "perspective")[2:3], SIZE) for mesh in (bumpy, inside_out))

    assert (image.pixels != other.pixels).mean() < 1e-3


@pytest.mark.parametrize("size", [1, 75, 130])
def test_any_image_size_is_accepted(renderer, size, bumpy, coloured, around):
    """The size need not be a power of two, nor a row a multiple of four bytes."""
    cameras = around(bumpy, "perspective")[:2]

    for mesh, shape in ((bumpy, (size, size)), (coloured, (size, size, 3))):
        images = list(renderer.render(mesh, cameras, size))
        assert [image.pixels.shape for image in images] == [shape, shape]
        assert np.isfinite(images[0].depth_mm[size // 2, size // 2])


def test_an_object_outside_the_image_leaves_it_white(renderer, bumpy):
    """An object beside or behind the camera is not visible."""
    beside = Camera(Orthographic(50.0), rigid(np.eye(3), [5000, 0, 300]))
    behind = Camera(lens_for("perspective", 300.0), rigid(np.eye(3), [0, 0, -500]))

    for image in renderer.render(bumpy, [beside, behind], SIZE):
        assert (image.pixels == BACKGROUND).all()
        assert np.isposinf(image.depth_mm).all()


def test_no_cameras_give_no_images(renderer, bumpy):
    """An empty list of cameras gives an empty iterator."""
    assert list(renderer.render(bumpy, [], SIZE)) == []


def test_an_unknown_backend_is_rejected_with_the_known_ones():
    """The message lists the backends."""
    with pytest.raises(UsageError, match="backend 'opengl': expected one of auto, raster, pyrender"):
        open_renderer("opengl")


def test_auto_never_draws_opengl_in_software():
    """Without a graphics card `auto` opens the rasteriser, which is many times faster than llvmpipe."""
    renderer = open_renderer("auto")

    if renderer.name == "pyrender":
        assert "llvmpipe" not in renderer.hardware
    renderer.close()


def test_importing_the_interface_imports_no_back_end():
    """Importing the package imports neither numba nor OpenGL."""
    code = "import sys, featurelib.rendering; print({'numba', 'pyrender', 'OpenGL', 'trimesh'} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
