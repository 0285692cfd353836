import numpy as np
import pytest
import trimesh

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh


def _load(data: bytes, **limits):
    return load_mesh(data, "glb", np.eye(4), name="a.glb", limits=Limits(**limits))


def _part(scene, mesh, **more):
    attributes = {"POSITION": scene.add(mesh.vertices)}
    return {"attributes": attributes, "indices": scene.add(mesh.faces.ravel(), "u2"), **more}


def _columns(matrices) -> np.ndarray:
    """Return matrices (n, 4, 4) as rows of 16 numbers, column by column."""
    return np.asarray(matrices, float).transpose(0, 2, 1).reshape(-1, 16)


def test_a_skin_replaces_the_pose_of_its_node(scene, scene_glb, ellipsoid):
    """At rest a bound mesh has its own coordinates, whatever its node and its armature do (here 1:100)."""
    part = _part(scene, ellipsoid)
    count = len(ellipsoid.vertices)
    part["attributes"] |= {
        "JOINTS_0": scene.add(np.zeros((count, 4)), "u1"),
        "WEIGHTS_0": scene.add(np.tile([1, 0, 0, 0], (count, 1))),
    }
    scene.place(part)
    scene.document["nodes"] = [
        {"scale": [0.01] * 3, "children": [1, 2]},
        {"translation": [0, 5, 0]},
        {"mesh": 0, "skin": 0, "translation": [7, 7, 7]},
    ]
    bind = np.diag([0.01, 0.01, 0.01, 1]) @ trimesh.transformations.translation_matrix([0, 5, 0])
    scene.document["skins"] = [{"joints": [1], "inverseBindMatrices": scene.add(_columns([np.linalg.inv(bind)]))}]

    mesh = _load(scene_glb(scene))

    assert mesh.vertices_mm == pytest.approx(ellipsoid.vertices, abs=1e-5)
    assert mesh.notes == ()


def test_vertices_follow_the_weighted_mean_of_their_joints(scene, scene_glb, ellipsoid):
    """Two sets of joints, weights in bytes that do not sum to one, and joints outside the scene."""
    random = np.random.default_rng(0)
    count, num_joints = len(ellipsoid.vertices), 5
    joints = random.integers(0, num_joints, (count, 8))
    weights = random.integers(0, 32, (count, 8))
    weights[0] = 0
    part = _part(scene, ellipsoid)
    for k in range(2):
        half = slice(4 * k, 4 * k + 4)
        part["attributes"][f"JOINTS_{k}"] = scene.add(joints[:, half], ["u1", "u2"][k])
        part["attributes"][f"WEIGHTS_{k}"] = scene.add(weights[:, half], "u1", normalized=True)
    scene.place(part, skin=0, scale=[3, 3, 3])
    moves = random.normal(0, 5, (num_joints, 3))
    scene.document["nodes"] += [{"translation": move.tolist()} for move in moves]
    scene.document["skins"] = [{"joints": [1 + k for k in range(num_joints)]}]

    shares = weights / np.maximum(weights.sum(1, keepdims=True), 1)
    shares[0, 0] = 1
    expected = ellipsoid.vertices + np.einsum("nk,nkc->nc", shares, moves[joints])
    assert _load(scene_glb(scene)).vertices_mm == pytest.approx(expected, abs=1e-4)


def test_joints_that_mirror_keep_the_outside(scene, scene_glb, ellipsoid):
    """The volume of a mirrored skinned part stays positive."""
    part = _part(scene, ellipsoid)
    part["attributes"] |= {
        "JOINTS_0": scene.add(np.zeros((len(ellipsoid.vertices), 4)), "u1"),
        "WEIGHTS_0": scene.add(np.tile([1, 0, 0, 0], (len(ellipsoid.vertices), 1))),
    }
    scene.place(part, skin=0)
    scene.document["nodes"].append({"scale": [-1, 1, 1]})
    scene.document["skins"] = [{"joints": [1]}]

    mesh = _load(scene_glb(scene))

    assert trimesh.Trimesh(mesh.vertices_mm, mesh.faces).volume == pytest.approx(ellipsoid.volume, rel=1e-5)


def test_a_part_without_joints_keeps_the_pose_of_its_node(scene, scene_glb, ellipsoid):
    """A skin on a part that names no joints has no effect."""
    scene.place(_part(scene, ellipsoid), skin=0, scale=[2, 2, 2])
    scene.document["skins"] = [{"joints": [0]}]

    assert _load(scene_glb(scene)).vertices_mm == pytest.approx(2 * ellipsoid.vertices, abs=1e-5)


@pytest.mark.parametrize("on_node", [True, False])
def test_morph_targets_have_their_default_weights(on_node, scene, scene_glb, ellipsoid):
    """The weights of a node, else those of its mesh; targets without positions or weight change nothing."""
    up, out = np.tile([0, 1, 0], (len(ellipsoid.vertices), 1)), ellipsoid.vertices
    targets = [{"POSITION": scene.add(up)}, {"NORMAL": 0}, {"POSITION": scene.add(out)}, {"POSITION": scene.add(up)}]
    scene.place(_part(scene, ellipsoid, targets=targets))
    scene.document["meshes"][0]["weights"] = [9, 9, 9, 9] if on_node else [-2, 1, 0.5, 0]
    if on_node:
        scene.document["nodes"][0]["weights"] = [-2, 1, 0.5, 0]

    assert _load(scene_glb(scene)).vertices_mm == pytest.approx(1.5 * ellipsoid.vertices - (0, 2, 0), abs=1e-5)


def test_a_sparse_accessor_replaces_items(scene, scene_glb, ellipsoid):
    """Over stored items and, in a morph target, over zeros."""
    part = _part(scene, ellipsoid)
    values = scene.view(np.array([[50, 0, 0], [0, 60, 0]], "<f4").tobytes())
    places = scene.view(np.array([3, 7], "<u2").tobytes())
    sparse = {"count": 2, "indices": {"bufferView": places, "componentType": 5123}, "values": {"bufferView": values}}
    scene.document["accessors"][part["attributes"]["POSITION"]]["sparse"] = sparse
    target = {"componentType": 5126, "count": len(ellipsoid.vertices), "type": "VEC3", "sparse": sparse}
    scene.document["accessors"].append(target)
    scene.place(part | {"targets": [{"POSITION": len(scene.document["accessors"]) - 1}]}, weights=[1])

    expected = ellipsoid.vertices.copy()
    expected[[3, 7]] = 100, 0, 0
    expected[7] = 0, 120, 0
    assert _load(scene_glb(scene)).vertices_mm == pytest.approx(expected, abs=1e-5)


def test_numbers_that_do_not_fit_are_rejected(scene, scene_glb, ellipsoid):
    """Joints and items that do not exist, arrays of another length, and more morphed positions than vertices."""
    part = _part(scene, ellipsoid, targets=[{"POSITION": scene.add(np.zeros((3, 3)))}])
    scene.place(part, weights=[1])
    with pytest.raises(DataError, match="a morph target has 3 positions; its part has 162"):
        _load(scene_glb(scene))

    part["targets"] = [{"POSITION": part["attributes"]["POSITION"]}] * 20
    scene.place(part, weights=[1] * 20)
    with pytest.raises(DataError, match="3,240 positions of morph targets; expected at most 3,000"):
        _load(scene_glb(scene), max_faces=1000)

    del part["targets"]
    part["attributes"]["JOINTS_0"] = scene.add(np.full((162, 4), 9), "u1")
    part["attributes"]["WEIGHTS_0"] = scene.add(np.ones((162, 4)))
    scene.place(part, skin=0)
    scene.document["skins"] = [{"joints": [0]}]
    with pytest.raises(DataError, match=r"a vertex refers to a joint that is none of 1 \(the file is damaged\)"):
        _load(scene_glb(scene))
    part["attributes"]["WEIGHTS_0"] = scene.add(np.ones((5, 4)))
    with pytest.raises(DataError, match="joints or weights are not four for each of 162 vertices"):
        _load(scene_glb(scene))
