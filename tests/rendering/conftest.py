"""Meshes with known images, and both backends."""

import numpy as np
import pytest
import trimesh

from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, Camera, lens_for
from featurelib.meshes import Mesh
from featurelib.rendering import Renderer, open_renderer

FRAME_MM = 300.0
SIZE = 256


@pytest.fixture(scope="session")
def raster():
    """The rasteriser."""
    renderer = open_renderer("raster")
    yield renderer
    renderer.close()


@pytest.fixture(scope="session")
def pyrender():
    """The OpenGL backend; its tests are skipped only without EGL."""
    try:
        renderer = open_renderer("pyrender")
    except UsageError as no_egl:
        pytest.skip(str(no_egl))
    yield renderer
    renderer.close()


@pytest.fixture(params=["raster", "pyrender"])
def renderer(request) -> Renderer:
    """Each backend."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def bumpy() -> Mesh:
    """A sphere of 80 mm with a nose towards the front left, so that no two views are the same."""
    ball = trimesh.creation.icosphere(subdivisions=5)
    towards_bump = ball.vertices @ (np.array([0.5, 0.2, 0.84]) / np.linalg.norm([0.5, 0.2, 0.84]))
    return Mesh.smooth(ball.vertices * (80 + 30 * np.exp(-20 * (1 - towards_bump)))[:, None], ball.faces)


@pytest.fixture(scope="session")
def layered() -> Mesh:
    """Four open shells inside each other, pierced by a slab of twelve large triangles."""
    ball = trimesh.creation.icosphere(subdivisions=4)
    ball.update_faces(ball.triangles_center @ [0.3, 0.4, 0.87] < 0.75)
    shells = [trimesh.Trimesh(ball.vertices * radius, ball.faces, process=False) for radius in (30, 50, 70, 90)]
    slab = trimesh.creation.box([220, 25, 40]).apply_transform(trimesh.transformations.rotation_matrix(0.5, [1, 1, 0]))
    both = trimesh.util.concatenate([*shells, slab])
    return Mesh.smooth(both.vertices, both.faces)


@pytest.fixture(scope="session")
def coloured(bumpy) -> Mesh:
    """The bumpy sphere with vertex colours that change across it."""
    waves = np.sin(bumpy.vertices_mm / 15 + [0, 1, 2])
    return Mesh(bumpy.vertices_mm, bumpy.faces, bumpy.normals, colours=(128 + 120 * waves).astype(np.uint8))


@pytest.fixture(scope="session")
def textured(bumpy) -> Mesh:
    """The bumpy sphere with a texture of 24 x 40 pixels that is repeated across it."""
    texture = np.random.default_rng(1).integers(0, 256, (24, 40, 3)).astype(np.uint8)
    uv = bumpy.vertices_mm[:, :2] / 90
    return Mesh(bumpy.vertices_mm, bumpy.faces, bumpy.normals, uv=uv.astype(np.float32), texture=texture)


def cameras_around(mesh: Mesh, projection: str, frame_mm: float = FRAME_MM) -> list[Camera]:
    """Return the default rig around a mesh."""
    return DEFAULT_RIG.cameras(mesh.centre_mm, lens_for(projection, frame_mm), frame_mm)


@pytest.fixture(scope="session")
def around():
    """`cameras_around`."""
    return cameras_around
