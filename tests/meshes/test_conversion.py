import io
import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from featurelib.errors import DataError
from featurelib.meshes import load_mesh
from featurelib.meshes.conversion import pack_gltf

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)


def _files(mesh: trimesh.Trimesh, *, textured: bool = False, merged: bool = True) -> dict[str, bytes]:
    """Return the files of a glTF as trimesh writes them."""
    if textured:
        material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(PIXELS))
        visual = trimesh.visual.TextureVisuals(uv=mesh.vertices[:, :2], material=material)
        mesh = trimesh.Trimesh(mesh.vertices, mesh.faces, visual=visual, process=False)
    return trimesh.exchange.gltf.export_gltf(trimesh.Scene([mesh]), merge_buffers=merged)


def _packed(files: dict[str, bytes]):
    return load_mesh(pack_gltf(files["model.gltf"], files.get), "glb", np.eye(4), name="a.gltf")


@pytest.mark.parametrize("merged", [True, False])
def test_a_gltf_and_its_folder_become_one_glb(merged, ellipsoid):
    """One buffer or several in files of their own."""
    mesh = _packed(_files(ellipsoid, merged=merged))

    assert mesh.vertices_mm == pytest.approx(ellipsoid.vertices, abs=1e-5)
    assert (mesh.faces == ellipsoid.faces).all()
    assert mesh.notes == ()


def test_names_are_percent_decoded_and_relative(ellipsoid):
    """Blanks, umlauts and subfolders; a buffer in a data URI stays inside."""
    files = _files(ellipsoid)
    document = json.loads(files["model.gltf"])
    name = document["buffers"][0]["uri"]
    document["buffers"][0]["uri"] = "./teile/Sch%C3%A4del%20eins.bin"
    asked = []

    def read(path: str) -> bytes:
        asked.append(path)
        return files[name]

    packed = pack_gltf(json.dumps(document).encode(), read)

    assert asked == ["teile/Schädel eins.bin"]
    assert len(load_mesh(packed, "glb", np.eye(4), name="a").faces) == 320
    assert pack_gltf(_embedded(ellipsoid), lambda path: pytest.fail(path)).startswith(b"glTF")


def _embedded(mesh) -> bytes:
    scene = trimesh.Scene([mesh])
    return trimesh.exchange.gltf.export_gltf(scene, merge_buffers=True, embed_buffers=True)["model.gltf"]


def test_base_colour_images_are_packed_and_others_are_not_read(ellipsoid):
    """The texture comes back; a normal map is never asked for."""
    files = _files(ellipsoid, textured=True)
    document = json.loads(files["model.gltf"])
    view = document["bufferViews"][document["images"][0].pop("bufferView")]
    name = document["buffers"][view["buffer"]]["uri"]
    start = view.get("byteOffset", 0)
    image = files[name][start : start + view["byteLength"]]
    document["images"] = [{"uri": "skin.png"}, {"uri": "normal.png"}]
    document["textures"].append({"source": 1})
    document["materials"][0]["normalTexture"] = {"index": len(document["textures"]) - 1}
    content = json.dumps(document).encode()

    mesh = load_mesh(pack_gltf(content, {**files, "skin.png": image}.get), "glb", np.eye(4), name="a")
    assert (mesh.texture == PIXELS).all()
    assert mesh.notes == ()

    mesh = load_mesh(pack_gltf(content, files.get), "glb", np.eye(4), name="a")
    assert mesh.texture is None
    assert mesh.notes == ('left out a texture in another file, "skin.png"',)


@pytest.mark.parametrize(
    "uri",
    [
        "gone.bin",
        "../up.bin",
        "/etc/passwd",
        "a/../../up.bin",
        "%2e%2e/up.bin",
        "C:\\\\up.bin",
        "https://a/b",
        "",
        ".",
        7,
    ],
)
def test_a_buffer_that_is_missing_or_outside_the_folder_is_named(uri, ellipsoid):
    """No path outside the folder is asked for."""
    document = json.loads(_files(ellipsoid)["model.gltf"])
    document["buffers"][0]["uri"] = uri
    asked = []

    with pytest.raises(DataError, match=r"its buffer .* is not beside it; copy that file as well, or export one .glb"):
        pack_gltf(json.dumps(document).encode(), asked.append)

    assert asked == (["gone.bin"] if uri == "gone.bin" else [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "its JSON cannot be read"),
        (b'{"buffers": [{}]}', "a buffer names no file"),
        (b'{"bufferViews": [{}]}', r"refers to buffers\[missing\], but has 0 buffers"),
        (b'{"buffers": [{"uri": "data:;base64,AAAA"}], "bufferViews": [{"buffer": 0, "byteOffset": -1}]}', "is -1"),
    ],
)
def test_a_damaged_document_is_rejected(content, reason):
    """The message has the wrong value."""
    with pytest.raises(DataError, match=reason):
        pack_gltf(content, lambda path: None)


def test_a_png_beside_a_gltf_is_not_decoded():
    """Packing copies bytes only; the reader checks them later."""
    document = {
        "images": [{"uri": "a.png"}],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    }
    packed = pack_gltf(json.dumps(document).encode(), lambda path: b"not an image")
    assert b"not an image" in packed
    assert io.BytesIO(packed).read(4) == b"glTF"
