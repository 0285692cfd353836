"""A mesh that is written as GLB is read unchanged."""

import numpy as np
import pytest

from featurelib.meshes import Mesh, load_mesh
from featurelib.meshes.writers.glb import write_glb

CORNERS = np.array([[0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]], np.uint8)
UV = np.array([[0.1, 0.2], [0.9, 0.2], [0.1, 0.8], [0.5, 0.5]], np.float32)
TEXTURE = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


@pytest.mark.parametrize(
    "appearance", [{}, {"colours": COLOURS}, {"uv": UV, "texture": TEXTURE}], ids=["plain", "colours", "texture"]
)
def test_a_mesh_is_read_unchanged(appearance):
    """Positions, faces, normals, colours and textures are the same after writing and reading."""
    mesh = Mesh.smooth(CORNERS, FACES, **appearance)
    found = load_mesh(write_glb(mesh), "glb", np.eye(4), name="a.glb")

    np.testing.assert_array_equal(found.vertices_mm, mesh.vertices_mm)
    np.testing.assert_array_equal(found.faces, mesh.faces)
    np.testing.assert_allclose(found.normals, mesh.normals, atol=1e-6)
    for name, expected in appearance.items():
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-6)


def test_a_mesh_of_odd_sizes_is_aligned():
    """Every part of the file begins at a multiple of 4 bytes, as glTF requires."""
    glb = write_glb(Mesh.smooth(CORNERS[:3], FACES[:1], uv=UV[:3], texture=TEXTURE))

    assert len(glb) % 4 == 0
    assert int.from_bytes(glb[8:12], "little") == len(glb)
