import io

import numpy as np
import pytest
from PIL import Image

from featurelib.meshes import load_mesh

CORNERS = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]], float)
UV = np.array([[0.25, 0.5], [0.75, 0.5], [0.75, 0.25], [0.25, 0.25]])


def _load(data: bytes):
    return load_mesh(data, "glb", np.eye(4), name="a.glb")


def _encoded(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind, **options)
    return file.getvalue()


PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3))


def _sampled(mesh) -> list[list[int]]:
    """Return the texture's colours (n, 3) at the vertices."""
    height, width = mesh.texture.shape[:2]
    columns, rows = np.floor(mesh.uv * (1, -1) * (width, height)).astype(int).T
    return mesh.texture[rows % height, columns % width].tolist()


def _textured(scene, *, image=None, texture=None, info=None, uv=UV, attributes=None):
    """Place a square with a texture."""
    scene.document["images"] = [image or {"bufferView": scene.view(_encoded(PIXELS)), "mimeType": "image/png"}]
    scene.document["textures"] = [{"source": 0} if texture is None else texture]
    scene.document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **(info or {})}}}]
    attributes = {"POSITION": scene.add(CORNERS), "TEXCOORD_0": scene.add(uv), **(attributes or {})}
    scene.place({"attributes": attributes, "mode": 6, "material": 0})


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({"offset": [0.25, 0]}, UV + np.array([0.25, 0])),
        ({"scale": [0.5, 2]}, UV * (0.5, 2)),
        ({"offset": [0, 1], "scale": [1, -1]}, UV * (1, -1) + (0, 1)),
        ({"offset": [0, 1], "rotation": np.pi / 2, "scale": [0.5, 0.5]}, UV[:, ::-1] * (0.5, -0.5) + (0, 1)),
    ],
)
def test_a_texture_transform_moves_the_texture(transform, expected, scene, scene_glb):
    """Scaled, rotated and then moved; the last case is the extension's example of the lower left quarter."""
    _textured(scene, info={"extensions": {"KHR_texture_transform": transform}})
    scene.document["extensionsRequired"] = ["KHR_texture_transform"]

    mesh = _load(scene_glb(scene))

    assert mesh.uv * (1, -1) + (0, 1) == pytest.approx(expected, abs=1e-6)
    assert mesh.notes == ()


def test_a_texture_transform_may_name_other_positions(scene, scene_glb):
    """Its texCoord replaces the one of the texture."""
    _textured(scene, info={"extensions": {"KHR_texture_transform": {"texCoord": 1}}}, uv=np.zeros((4, 2)))
    scene.document["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_1"] = scene.add(UV)

    assert _load(scene_glb(scene)).uv * (1, -1) + (0, 1) == pytest.approx(UV, abs=1e-6)


def test_positions_may_be_integers(scene, scene_glb):
    """Unsigned shorts that are normalized, and others that a transform scales, as gltfpack writes them."""
    _textured(scene)
    attributes = scene.document["meshes"][0]["primitives"][0]["attributes"]
    attributes["TEXCOORD_0"] = scene.add(np.round(UV * 65535), "u2", normalized=True)
    assert _load(scene_glb(scene)).uv * (1, -1) + (0, 1) == pytest.approx(UV, abs=1e-4)

    _textured(scene, info={"extensions": {"KHR_texture_transform": {"scale": [1 / 4096, 1 / 4096]}}})
    attributes = scene.document["meshes"][0]["primitives"][0]["attributes"]
    attributes["TEXCOORD_0"] = scene.add(np.round(UV * 4096), "u2")
    assert _load(scene_glb(scene)).uv * (1, -1) + (0, 1) == pytest.approx(UV, abs=1e-4)


def test_a_webp_texture_is_read(scene, scene_glb):
    """The image of EXT_texture_webp is used, not its substitute."""
    webp = {"bufferView": scene.view(_encoded(PIXELS, "WEBP", lossless=True)), "mimeType": "image/webp"}
    _textured(scene, image=webp, texture={"extensions": {"EXT_texture_webp": {"source": 0}}})

    mesh = _load(scene_glb(scene))

    assert (mesh.texture == PIXELS).all()
    assert mesh.notes == ()


KTX2 = b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(64)
BASISU = {"extensions": {"KHR_texture_basisu": {"source": 0}}}


@pytest.mark.parametrize(
    ("image", "texture", "note"),
    [
        (KTX2, None, "left out a texture: it is KTX2, not a PNG, JPEG or WebP"),
        (KTX2, BASISU, "left out a texture: it is KTX2, not a PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(30), None, "left out a texture: it is of an unknown format, not a PNG, JPEG or WebP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", None, "left out a texture: it is of an unknown format, not a PNG, JPEG or WebP"),
        ("skin%20one.png", None, 'left out a texture in another file, "skin%20one.png"'),
        (KTX2, {}, "left out a texture without an image"),
    ],
)
@pytest.mark.parametrize("is_coloured", [True, False])
def test_a_texture_that_is_not_read_is_left_out_with_a_note(image, texture, note, is_coloured, scene, scene_glb):
    """The geometry is read, with the vertex colours if there are any; no program is started for an odd format."""
    entry = {"uri": image} if isinstance(image, str) else {"bufferView": scene.view(image)}
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]])
    more = {"COLOR_0": scene.add(colours / 255)} if is_coloured else {}
    _textured(scene, image=entry, texture=texture, attributes=more)

    mesh = _load(scene_glb(scene))

    assert mesh.notes == (note,)
    assert (mesh.uv, mesh.texture) == (None, None)
    assert (mesh.colours.tolist() == colours.tolist()) if is_coloured else mesh.colours is None


def test_ktx2_with_a_substitute_is_no_loss(scene, scene_glb):
    """The PNG that the texture names as well is read without a note."""
    _textured(scene)
    scene.document["textures"][0] |= {"extensions": {"KHR_texture_basisu": {"source": 1}}}
    scene.document["images"].append({"bufferView": scene.view(KTX2)})

    mesh = _load(scene_glb(scene))

    assert mesh.notes == ()
    assert (mesh.texture == PIXELS).all()


def test_the_texture_of_another_part_is_kept(scene, scene_glb):
    """Only the part whose texture is left out loses its colour."""
    _textured(scene)
    document = scene.document
    document["images"].append({"uri": "gone.jpg"})
    document["textures"].append({"source": 1})
    document["materials"].append({"pbrMetallicRoughness": {"baseColorTexture": {"index": 1}}})
    part = document["meshes"][0]["primitives"][0]
    document["meshes"][0]["primitives"].append({**part, "material": 1})

    mesh = _load(scene_glb(scene))

    assert mesh.notes == ('left out a texture in another file, "gone.jpg"',)
    rows, columns = (UV * 8).astype(int).T[::-1]
    assert _sampled(mesh) == [*PIXELS[rows, columns].tolist(), *4 * [[255, 255, 255]]]


def test_images_of_no_base_colour_are_ignored(scene, scene_glb):
    """A normal map may be in another file or of any format, without a note."""
    _textured(scene)
    scene.document["images"].append({"uri": "normal.png"})
    scene.document["textures"].append({"source": 1})
    scene.document["materials"][0]["normalTexture"] = {"index": 1}

    mesh = _load(scene_glb(scene))

    assert mesh.notes == ()
    assert (mesh.texture == PIXELS).all()


def test_colours_that_no_texture_can_hold_are_left_out_with_a_note(scene, scene_glb):
    """Vertex colours beside another part's texture, and a texture without texture positions."""
    _textured(scene)
    coloured = {"POSITION": scene.add(CORNERS + 9), "COLOR_0": scene.add(np.eye(4)[:, :3])}
    scene.document["meshes"][0]["primitives"].append({"attributes": coloured, "mode": 6})
    scene.document["meshes"][0]["primitives"].append({"attributes": {"POSITION": scene.add(CORNERS)}, "material": 0})
    scene.document["meshes"][0]["primitives"][-1]["mode"] = 6

    mesh = _load(scene_glb(scene))

    assert mesh.texture is not None
    assert mesh.notes == (
        "left out the texture of 1 part without texture positions",
        "left out the vertex colours of 1 part, because others have textures",
    )
