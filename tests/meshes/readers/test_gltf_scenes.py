import numpy as np
import pytest
import trimesh

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh

SQUARE = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]], float)


def _load(data: bytes, **limits):
    return load_mesh(data, "glb", np.eye(4), name="a.glb", limits=Limits(**limits))


def _area(mesh) -> float:
    return trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=False).area


def test_instances_are_copies_with_their_own_poses(scene, scene_glb, ellipsoid):
    """Each instance is moved, rotated and scaled before its node; the mesh itself is not drawn as well."""
    moves, scales = np.array([[0, 0, 0], [10, 0, 0], [0, 20, 5]]), np.array([[1, 1, 1], [2, 1, 1], [1, 1, -1]])
    turns = np.array([[0, 0, 0, 1], [0, 0.6, 0, 0.8], [0.28, 0, 0.96, 0]])
    attributes = {
        "TRANSLATION": scene.add(moves),
        "ROTATION": scene.add(turns),
        "SCALE": scene.add(scales),
        "_ID": scene.add([0, 1, 2]),
    }
    part = {
        "attributes": {"POSITION": scene.add(ellipsoid.vertices)},
        "indices": scene.add(ellipsoid.faces.ravel(), "u2"),
    }
    scene.place(part, translation=[0, 0, 7], extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    scene.document["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]

    mesh = _load(scene_glb(scene))

    expected = []
    for move, (x, y, z, w), scale in zip(moves, turns, scales, strict=True):
        pose = trimesh.transformations.quaternion_matrix([w, x, y, z])
        expected.append((ellipsoid.vertices * scale) @ pose[:3, :3].T + move + (0, 0, 7))
    assert mesh.vertices_mm == pytest.approx(np.concatenate(expected), abs=1e-5)
    assert trimesh.Trimesh(mesh.vertices_mm, mesh.faces).volume == pytest.approx(4 * ellipsoid.volume, rel=1e-5)
    assert mesh.notes == ()


def test_instances_count_as_parts(scene, scene_glb):
    """The number of instances is limited before they are placed, and all attributes have one per instance."""
    part = {"attributes": {"POSITION": scene.add(SQUARE)}, "mode": 6}
    attributes = {"TRANSLATION": scene.add(np.zeros((50, 3)))}
    scene.place(part, extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    assert len(_load(scene_glb(scene)).faces) == 100
    with pytest.raises(DataError, match="50 instances of a part; expected one number up to 49"):
        _load(scene_glb(scene), max_parts=49)

    attributes["SCALE"] = scene.add(np.ones((3, 3)))
    with pytest.raises(DataError, match="3 and 50 instances of a part"):
        _load(scene_glb(scene))


@pytest.mark.parametrize(("mode", "order"), [(4, [0, 1, 2, 0, 2, 3]), (5, [0, 1, 3, 2]), (6, [0, 1, 2, 3])])
def test_lists_strips_and_fans_have_the_same_surface(mode, order, scene, scene_glb):
    """All three modes give the square, with its front in +z, with and without indices."""
    for attributes, more in (
        ({"POSITION": scene.add(SQUARE)}, {"indices": scene.add(order, "u1")}),
        ({"POSITION": scene.add(SQUARE[order])}, {}),
    ):
        scene.place({"attributes": attributes, "mode": mode, **more})
        mesh = _load(scene_glb(scene))
        assert _area(mesh) == pytest.approx(12)
        assert mesh.normals[:, 2].min() == 1


@pytest.mark.parametrize("mode", [5, 6])
def test_a_strip_or_fan_of_two_corners_has_no_triangle(mode, scene, scene_glb):
    """It is no error beside a part with a surface."""
    square = {"attributes": {"POSITION": scene.add(SQUARE)}, "mode": 6}
    scene.place(square, {"attributes": {"POSITION": scene.add(SQUARE[:2])}, "mode": mode})

    assert len(_load(scene_glb(scene)).faces) == 2


def test_what_has_no_surface_is_left_out_with_a_note(scene, scene_glb):
    """Parts without positions, of points, of lines, hidden, or outside the default scene are named and counted."""
    square = {"attributes": {"POSITION": scene.add(SQUARE)}, "mode": 6}
    points = {**square, "mode": 0}
    scene.place(square, points, points, {**square, "mode": 3}, {"attributes": {"TEXCOORD_0": 0}})
    scene.document["nodes"] += [
        {"mesh": 1, "extensions": {"KHR_node_visibility": {"visible": False}}},
        {"camera": 0},
        {"mesh": 1},
    ]
    scene.document["meshes"].append({"primitives": [square]})
    scene.document["scenes"] = [{"nodes": [3]}, {"nodes": [0, 1, 2]}]
    scene.document["scene"] = 1

    mesh = _load(scene_glb(scene))

    assert len(mesh.faces) == 2
    assert set(mesh.notes) == {
        "left out 2 parts of points",
        "left out 1 part of lines",
        "left out 1 part without positions",
        "left out 1 part that the file hides",
        "left out 1 part outside the default scene",
    }


def test_an_empty_default_scene_is_not_called_a_point_cloud(scene, scene_glb):
    """The message has the true reason."""
    scene.place({"attributes": {"POSITION": scene.add(SQUARE)}, "mode": 6})
    scene.document["scenes"] = [{}, {"nodes": [0]}]

    with pytest.raises(DataError, match=r"no triangles \(left out 1 part outside the default scene\); expected a surf"):
        _load(scene_glb(scene))


@pytest.mark.parametrize("nodes", [[], [{"camera": 0}], [{"translation": [0, 0, 1]}]])
def test_a_scene_without_meshes_is_not_called_a_point_cloud(nodes, scene, scene_glb):
    """The file may have meshes that no node refers to."""
    scene.place({"attributes": {"POSITION": scene.add(SQUARE)}, "mode": 6})
    scene.document |= {"nodes": nodes, "scenes": []}

    with pytest.raises(DataError, match=r"\Aa.glb: its scene has no part of a mesh; expected a surface"):
        _load(scene_glb(scene))
