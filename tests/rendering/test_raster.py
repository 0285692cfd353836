from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial import Delaunay

from featurelib.geometry import PROJECTIONS, Camera, Orthographic, Perspective, lens_for, rigid
from featurelib.meshes import Mesh
from featurelib.rendering import open_renderer
from featurelib.rendering.shading import ALBEDO, AMBIENT

SIZE = 256


def _cast(mesh: Mesh, camera: Camera, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and grey of rays through the pixels' centres, against all triangles (Moller and Trumbore, 1997)."""
    centres = (np.arange(size) + 0.5) / size
    rays = camera.backproject(np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2))
    a, b, c = mesh.vertices_mm[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    across = np.cross(rays.directions[:, None], (c - a)[None])  # (rays, faces, 3)
    determinant = np.einsum("rfk,fk->rf", across, b - a)
    offset = rays.origins_mm[:, None] - a
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.einsum("rfk,rfk->rf", across, offset) / determinant
        q = np.cross(offset, (b - a)[None])
        v = np.einsum("rk,rfk->rf", rays.directions, q) / determinant
        distance = np.einsum("rfk,fk->rf", q, c - a) / determinant
        distance = np.where((u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0), distance, np.inf)
    face = distance.argmin(axis=1)
    ray = np.arange(len(face))
    depth = distance[ray, face] * (rays.directions @ camera.axis)
    towards = camera.position_mm - mesh.vertices_mm
    if isinstance(camera.lens, Orthographic):
        towards = np.broadcast_to(-camera.axis, towards.shape)
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    intensity = AMBIENT + (1 - AMBIENT) * np.abs((towards * mesh.normals).sum(axis=1))
    i, (u, v) = intensity[mesh.faces[face]], (u[ray, face], v[ray, face])
    grey = 255 * ALBEDO * ((1 - u - v) * i[:, 0] + u * i[:, 1] + v * i[:, 2])
    return depth.reshape(size, size), np.where(np.isfinite(depth), grey, 255).reshape(size, size)


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("size", [24, 64])
def test_every_pixel_shows_the_surface_that_its_ray_hits(raster, projection, size, around):
    """Depth and grey agree with a ray caster that shares no code with the rasteriser."""
    ball = trimesh.creation.icosphere(subdivisions=2, radius=60)
    ball.update_faces(ball.triangles_center @ [0.3, 0.4, 0.87] < 50)
    box = trimesh.creation.box([150, 20, 30])
    both = trimesh.util.concatenate([ball, box])
    rotation = trimesh.transformations.rotation_matrix(0.4, [3, 2, 1])  # no face is edge-on, where rays are unreliable
    mesh = Mesh.smooth(both.vertices, both.faces).moved(rotation)

    cameras = around(mesh, projection, 200.0)[::3]
    for camera, image in zip(cameras, raster.render(mesh, cameras, size), strict=True):
        depth_mm, grey = _cast(mesh, camera, size)
        covered, expected = np.isfinite(image.depth_mm), np.isfinite(depth_mm)
        assert (covered != expected).sum() <= 0.003 * expected.sum()
        both = covered & expected
        is_near = np.abs(image.depth_mm[both] - depth_mm[both]) < 1e-3 * depth_mm[both]
        assert is_near.mean() >= 0.997
        assert np.abs(image.pixels[both] - grey[both])[is_near].max() < 2.5


@pytest.mark.parametrize("num_points", [4, 60, 4000])
def test_shared_edges_leave_no_holes(raster, num_points):
    """A plane of triangles of any size, many smaller than a pixel, covers every pixel of the image."""
    rng = np.random.default_rng(num_points)
    corners = np.array([[-101, -101], [101, -101], [101, 101], [-101, 101]])
    grid = rng.integers(-20, 21, (num_points, 2)) * 5.0  # puts points and edges exactly on pixels' centres and borders
    points = np.unique(np.concatenate([corners, grid, rng.uniform(-100, 100, (num_points, 2))]), axis=0)
    mesh = Mesh.smooth(np.c_[points, np.zeros(len(points))], Delaunay(points).simplices)
    camera = Camera(Orthographic(100.0), rigid(np.eye(3), [0, 0, 500]))

    [image] = raster.render(mesh, [camera], 160)

    assert np.isfinite(image.depth_mm).all()
    assert (image.pixels == round(255 * ALBEDO)).all()


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_closed_sphere_has_no_holes(raster, projection, around):
    """Between the first and the last covered pixel of every row all are covered."""
    ball = trimesh.creation.icosphere(subdivisions=6, radius=100)
    mesh = Mesh.smooth(ball.vertices, ball.faces)

    for image in raster.render(mesh, around(mesh, projection), SIZE):
        covered = np.isfinite(image.depth_mm)
        assert (np.abs(np.diff(np.pad(covered, 1).astype(int), axis=1)).sum(axis=1) <= 2).all()
        # The back does not show through a hole: all depths are of the front half.
        assert image.depth_mm[covered].max() - image.depth_mm.min() < 101


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_mirrored_mesh_covers_exactly_the_mirrored_pixels(raster, projection, layered, around):
    """Mirroring is exact for the covered pixels and within one grey level for their shades."""
    centred = replace(layered, vertices_mm=layered.vertices_mm - layered.centre_mm.astype(np.float32))
    cameras = around(replace(centred, vertices_mm=np.float32([[0, 0, 0]])), projection)

    views = list(raster.render(centred, cameras, SIZE))
    partners = list(raster.render(centred.mirrored(), cameras, SIZE))[::-1]

    for view, partner in zip(views, partners, strict=True):
        assert (np.isfinite(view.depth_mm) != np.isfinite(partner.depth_mm[:, ::-1])).mean() < 1e-5
        off = np.abs(view.pixels.astype(int) - partner.pixels[:, ::-1])
        assert (off > 1).mean() < 1e-4
        assert (off > 0).mean() < 1e-3


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_images_are_the_same_to_the_byte_in_every_run(raster, projection, layered, around):
    """Neither a second renderer, nor other images in between, nor the order of the faces changes an image."""
    shuffled = replace(layered, faces=np.random.default_rng(0).permutation(layered.faces))
    cameras = around(layered, projection)[1:3]
    first = list(raster.render(layered, cameras, SIZE))
    other = open_renderer("raster")

    for images in (other.render(layered, cameras, SIZE), raster.render(shuffled, cameras, SIZE)):
        for image, expected in zip(images, first, strict=True):
            assert image.pixels.tobytes() == expected.pixels.tobytes()
            assert image.depth_mm.tobytes() == expected.depth_mm.tobytes()
    other.close()


def test_two_meshes_can_be_rendered_alternately(raster, bumpy, coloured, around):
    """The images of two unfinished renderings do not mix."""
    cameras = around(bumpy, "orthographic")[:3]
    apart = [list(raster.render(mesh, cameras, SIZE)) for mesh in (bumpy, coloured)]

    alternating = zip(raster.render(bumpy, cameras, SIZE), raster.render(coloured, cameras, SIZE), strict=True)

    for (grey, colour), expected_grey, expected_colour in zip(alternating, *apart, strict=True):
        assert (grey.pixels == expected_grey.pixels).all()
        assert (colour.pixels == expected_colour.pixels).all()


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_white_vertex_colours_give_the_grey_image_brightened(raster, projection, bumpy, around):
    """Shading after the visibility test, as for colours, equals shading before it, as for grey."""
    white = replace(bumpy, colours=np.full((len(bumpy.vertices_mm), 3), 255, np.uint8))
    cameras = around(bumpy, projection)[3:5]

    for grey, colour in zip(raster.render(bumpy, cameras, SIZE), raster.render(white, cameras, SIZE), strict=True):
        assert (grey.depth_mm == colour.depth_mm).all()
        inside = np.isfinite(grey.depth_mm)
        assert colour.pixels[inside] * ALBEDO == pytest.approx(grey.pixels[inside, None] * np.ones(3), abs=1.0)


def test_large_and_small_triangles_are_drawn_alike(raster):
    """A slanted square of 2 triangles gives the same image as one of 8192; each uses another branch of the code."""
    camera = Camera(Perspective(30.0), rigid(np.eye(3), [0, 0, 500]))
    steps = np.linspace(-80, 80, 65)
    images = []
    for line in (steps[[0, -1]], steps):
        x, y = (grid.ravel() for grid in np.meshgrid(line, line))
        corner = np.arange(len(x)).reshape(len(line), -1)
        low, high = corner[:-1, :-1].ravel(), corner[1:, 1:].ravel()
        others = corner[:-1, 1:].ravel(), corner[1:, :-1].ravel()
        faces = np.concatenate([np.c_[low, others[0], high], np.c_[low, high, others[1]]])
        images += raster.render(Mesh.smooth(np.c_[x, y, 0.9 * x + 0.3 * y], faces), [camera], SIZE)

    large, small = images
    both = np.isfinite(large.depth_mm) & np.isfinite(small.depth_mm)
    assert both.sum() > 10_000
    assert (np.isfinite(large.depth_mm) != np.isfinite(small.depth_mm)).sum() < 0.005 * both.sum()
    assert large.depth_mm[both] == pytest.approx(small.depth_mm[both], abs=0.02)


def test_triangles_that_reach_behind_a_perspective_camera_are_omitted(raster, bumpy):
    """A camera inside an object shows the surface before it; the surface behind it has no effect."""
    camera = Camera(lens_for("perspective", 300.0), rigid(np.eye(3)))

    [image] = raster.render(bumpy, [camera], SIZE)

    assert np.isfinite(image.depth_mm).all()
    assert image.depth_mm.min() > 50


def test_a_renderer_can_be_used_again_after_an_unfinished_rendering(raster, bumpy, around):
    """Stopping after the first of nine images has no effect on the next rendering."""
    cameras = around(bumpy, "orthographic")
    expected = next(iter(raster.render(bumpy, cameras, SIZE)))

    next(raster.render(bumpy, cameras[::-1], SIZE))

    assert (next(raster.render(bumpy, cameras, SIZE)).pixels == expected.pixels).all()
