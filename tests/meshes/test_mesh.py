from dataclasses import fields

import numpy as np
import pytest
import trimesh

from featurelib.geometry import rigid
from featurelib.meshes import Mesh, smooth_normals

ROTATED_INCHES = 25.4 * trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3]


def test_normals_are_weighted_by_area():
    """At the edge between two perpendicular faces the normal is their mean, weighted by the areas."""
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)  # areas 1.5 (normal +z) and 0.5 (normal +x)

    normals = smooth_normals(vertices, faces)

    assert normals[0] == pytest.approx(np.array([0.5, 0, 1.5]) / np.hypot(0.5, 1.5))
    assert normals[1] == pytest.approx([0, 0, 1])


def test_a_vertex_without_area_has_the_normal_zero():
    """A face that is a line gives the normal zero, not NaN."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32)

    assert (smooth_normals(vertices, np.array([[0, 1, 2]], np.int32)) == 0).all()


def test_mirroring_twice_is_the_identity(ellipsoid):
    """A mirrored mesh has the mirrored normals, its outside stays outside, and mirroring it again restores it."""
    mesh = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces)
    mirrored = mesh.mirrored(centre_x_mm=1.0)

    assert mirrored.centre_mm == pytest.approx(mesh.centre_mm * [-1, 1, 1] + [2, 0, 0])
    assert smooth_normals(mirrored.vertices_mm, mirrored.faces) == pytest.approx(mirrored.normals, abs=1e-5)
    again = mirrored.mirrored(centre_x_mm=1.0)
    assert again.vertices_mm == pytest.approx(mesh.vertices_mm, abs=1e-6)
    assert (again.faces == mesh.faces).all()
    assert (again.normals == mesh.normals).all()


def test_moving_rotates_the_normals_with_the_surface(ellipsoid):
    """The normals of a rotated, translated and scaled mesh are those of its surface."""
    mesh = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces)
    a_from_b = rigid(ROTATED_INCHES, [5, 6, 7])

    moved = mesh.moved(a_from_b)

    assert moved.vertices_mm == pytest.approx(mesh.vertices_mm @ a_from_b[:3, :3].T + a_from_b[:3, 3], abs=1e-4)
    assert moved.normals == pytest.approx(smooth_normals(moved.vertices_mm, moved.faces), abs=1e-5)


def test_a_mesh_is_frozen(ellipsoid):
    """No field of a mesh can be set."""
    mesh = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces)

    for field in fields(mesh):
        with pytest.raises(AttributeError):
            setattr(mesh, field.name, None)
