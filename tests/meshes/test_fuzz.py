"""Corrupted files give a mesh or an error of one line."""

import json
import random
import re
import zlib

import numpy as np
import pytest
import trimesh
from PIL import Image

from featurelib.errors import DataError
from featurelib.meshes import Limits, Mesh, load_mesh

KINDS = (
    "ply", "ply_ascii", "stl", "stl_ascii", "off", "obj", "obj_concave", "glb", "glb_textured", "gltf", "vtk",
    "vtk_binary", "vtp", "vtp_raw", "ply.gz", "vtk.gz",
)  # fmt: skip
LIMITS = Limits(max_faces=10_000, max_texture_pixels=10_000, max_file_bytes=100_000)
ROUNDS = 80


def _valid(kind, exported):
    mesh = trimesh.creation.box(extents=[3, 2, 1])
    if kind == "obj_concave":  # an L whose six corners give four triangles, three times
        return b"".join(b"v %d %d 0\n" % place for place in ((0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3))) + (
            b"f 2 3 4 5 6 1\nf -1 -2 -3 -4 -5 -6\nf 3 4 5 6 1 2\n"
        )
    if kind == "glb_textured":
        material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), "red"))
        mesh.visual = trimesh.visual.TextureVisuals(uv=mesh.vertices[:, :2], material=material)
    elif kind not in ("stl", "stl_ascii", "off"):
        mesh.visual.vertex_colors = np.arange(24).reshape(8, 3)
    return exported(mesh, kind.removesuffix("_textured"))


def _corrupted(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, insert, repeat or drop bytes, most often near the beginning, where the headers are."""
    corrupted = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(min(len(corrupted), rng.choice((20, 300, 10**9))) or 1)
        match rng.randrange(6):
            case 0:
                corrupted[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                corrupted[place : place + 1] = rng.choice((b"9", b"-", b"0", b"\n", b"e", b"\0", b"\xff", b" ", b'"'))
            case 2:
                corrupted[place : place + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\0\0\x80\x7f", b"\0\0\0\x80"))
            case 3:
                corrupted[place:place] = rng.randbytes(rng.randrange(1, 9))
            case 4:
                del corrupted[place : place + rng.randrange(1, 40)]
            case 5:
                del corrupted[max(place, 1) :]
        if not corrupted:
            break
    return bytes(corrupted)


def _result(data: bytes, file_type: str) -> Mesh | str:
    """Return the mesh, or the message of a DataError."""
    try:
        return load_mesh(data, file_type, np.eye(4), name="meshes/a", limits=LIMITS)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupted_file_gives_a_mesh_or_one_line(kind, exported, recwarn):
    """Flipped, cut, inserted and dropped bytes give a valid mesh, or an error of one line that begins with the name."""
    data = _valid(kind, exported)
    rng = random.Random(zlib.crc32(kind.encode()))
    file_type = kind.partition("_")[0]
    assert len(load_mesh(data, file_type, np.eye(4), name="a", limits=LIMITS).faces) == 12

    for _ in range(ROUNDS):
        result = _result(_corrupted(data, rng), file_type)
        if isinstance(result, str):
            assert result.startswith("meshes/a: ")
            assert result.isprintable()
            assert len(result) < 400
            assert "cannot be read, " not in result  # an unexpected error
        else:
            assert np.isfinite(result.vertices_mm).all()
            assert np.isfinite(result.normals).all()
            assert result.faces.shape[1:] == (3,)
            assert 0 <= result.faces.min() <= result.faces.max() < len(result.vertices_mm)
            for values in (result.colours, result.uv):
                assert values is None or len(values) == len(result.vertices_mm)
            assert result.uv is None or np.isfinite(result.uv).all()
    assert not [str(warning.message) for warning in recwarn]


def _skinned(scene) -> None:
    """Place a quad with a skin, a morph target, a sparse accessor and instances."""
    corners = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]])
    sparse = scene.add(corners)
    values, places = scene.view(np.ones((1, 3), "<f4").tobytes()), scene.view(np.array([2], "<u2").tobytes())
    scene.document["accessors"][sparse]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": places, "componentType": 5123},
        "values": {"bufferView": values},
    }
    attributes = {
        "POSITION": scene.add(corners),
        "JOINTS_0": scene.add(np.zeros((4, 4)), "u1"),
        "WEIGHTS_0": scene.add(np.ones((4, 4))),
    }
    scene.place({"attributes": attributes, "mode": 6, "targets": [{"POSITION": sparse}]}, weights=[0.5], skin=0)
    instances = {"TRANSLATION": scene.add(corners), "ROTATION": scene.add(np.tile([0, 0, 0, 1], (4, 1)))}
    scene.document["nodes"] += [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": instances}}}]
    scene.document["scenes"] = [{"nodes": [0, 1]}]
    bind = scene.add(np.eye(4).reshape(1, 16))
    scene.document["skins"] = [{"joints": [1], "inverseBindMatrices": bind}]


def test_a_corrupted_scene_gives_a_mesh_or_one_line(scene, scene_glb):
    """Every number of the document of a skinned scene is replaced by unusual ones."""
    _skinned(scene)
    text = json.dumps(scene.document)
    assert len(_result(scene_glb(scene), "glb").faces) == 10

    for found in re.finditer(r"(?<=[ \[])-?\d+(\.\d+)?(?=[,\]}])", text):
        for value in ("-1", "7", "1e300", "2147483647", "null", '"x"', "[]", "{}", "true"):
            scene.document = json.loads(text[: found.start()] + value + text[found.end() :])
            result = _result(scene_glb(scene), "glb")
            if isinstance(result, str):
                assert result.startswith("meshes/a: ")
                assert "cannot be read, " not in result
                assert "None" not in result
            else:
                assert np.isfinite(result.vertices_mm).all()
