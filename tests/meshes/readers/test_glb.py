import base64
import io
import json
import struct
import time
import tracemalloc

import numpy as np
import pytest
import trimesh
from PIL import Image

from featurelib.errors import DataError
from featurelib.meshes import Limits, Mesh, load_mesh

POSITIONS = [[0, 0, 0], [3, 0, 0], [0, 2, 0]]


def _load(data: bytes, **limits):
    return load_mesh(data, "glb", np.eye(4), name="a.glb", limits=Limits(**limits))


def _png(width: int, height: int, colour="red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def _textured(triangle, *images: bytes):
    """Return the triangle once per image, with the texture positions 0 0, 1 0, 0 1 from the top-left corner."""
    document, binary = triangle
    uv = np.array([[0, 0], [1, 0], [0, 1]], "<f4").tobytes()
    views = [*document["bufferViews"], {"buffer": 0, "byteOffset": 48, "byteLength": 24}]
    binary += uv
    for image in images:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(image)})
        binary += image
    numbers = range(len(images))
    attributes = {"POSITION": 0, "TEXCOORD_0": 2}
    return document | {
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
        "accessors": [
            *document["accessors"],
            {"bufferView": 2, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        "images": [{"bufferView": 3 + i, "mimeType": "image/png"} for i in numbers],
        "textures": [{"source": i} for i in numbers],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": i}}} for i in numbers],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 1, "material": i} for i in numbers]}],
    }, binary


def test_a_triangle_is_read(glb, triangle):
    """A minimal GLB is read, with its buffer in the binary part or in a data URI."""
    document, binary = triangle
    uri = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()

    for data in (glb(document, binary), glb(document | {"buffers": [{"byteLength": 48, "uri": uri}]})):
        mesh = _load(data)
        assert mesh.vertices_mm.tolist() == POSITIONS
        assert mesh.faces.tolist() == [[0, 1, 2]]
        assert (mesh.colours, mesh.uv, mesh.texture) == (None, None, None)


def test_a_scene_becomes_one_mesh(ellipsoid):
    """All parts of a scene are joined, each at its pose in the scene."""
    scene = trimesh.Scene([ellipsoid])
    scene.add_geometry(ellipsoid, transform=trimesh.transformations.translation_matrix([0, 0, 10]))

    mesh = _load(scene.export(file_type="glb"))

    assert len(mesh.faces) == 2 * len(ellipsoid.faces)
    assert mesh.bounds_mm == pytest.approx(np.add(ellipsoid.bounds, [[0, 0, 0], [0, 0, 10]]), abs=1e-5)


def test_nested_transforms_agree_with_trimesh(glb, triangle):
    """Nested translations, rotations (x, y, z, w), scales and matrices agree with an independent reader."""
    document, binary = triangle
    matrix = trimesh.transformations.rotation_matrix(0.4, [1, 0, 2], [3, 1, 1])
    document["nodes"] = [
        {"children": [1], "translation": [1, 2, 3], "rotation": [0.1, -0.2, 0.3, 0.9], "scale": [1, 2, 0.5]},
        {"children": [2], "matrix": matrix.T.ravel().tolist()},
        {"mesh": 0, "scale": [2, 2, 2]},
        {"mesh": 0},
    ]
    data = glb(document, binary)
    expected = trimesh.load_scene(io.BytesIO(data), file_type="glb", process=False).to_mesh()

    assert _load(data).vertices_mm == pytest.approx(expected.vertices, abs=1e-5)


def test_a_mirrored_part_keeps_its_outside(glb, triangle):
    """A negative scale reverses the faces, so that normals point outwards."""
    document, binary = triangle
    document["nodes"][0]["scale"] = [-1, 1, 1]

    mesh = _load(glb(document, binary))

    assert mesh.vertices_mm[1].tolist() == [-3, 0, 0]
    assert mesh.normals[0].tolist() == [0, 0, 1]


def test_strips_and_unindexed_triangles_are_triangles(glb, triangle):
    """Mode 5 reverses every second triangle; without indices the order of the vertices counts."""
    document, binary = triangle
    primitive = document["meshes"][0]["primitives"][0]
    del primitive["indices"]
    assert _load(glb(document, binary)).faces.tolist() == [[0, 1, 2]]

    primitive["mode"] = 5
    binary += np.array([[3, 2, 0]], "<f4").tobytes()
    document["bufferViews"][0]["byteLength"] = 36 + 12 + 12
    document["accessors"][0]["count"] = 5

    assert _load(glb(document, binary)).faces.tolist() == [[0, 1, 2], [3, 2, 1], [2, 3, 4]]


def test_quantized_and_interleaved_positions_are_scaled(glb, triangle):
    """Normalized shorts with a stride, as in KHR_mesh_quantization, are scaled to [-1, 1]."""
    document, _ = triangle
    rows = np.zeros(3, np.dtype([("xyz", "<i2", 3), ("rest", "<u2")]))
    rows["xyz"] = np.array(POSITIONS) * 32767 // 3
    document["bufferViews"][0] = {"buffer": 0, "byteLength": 24, "byteStride": 8}
    document["bufferViews"][1]["byteOffset"] = 24
    document["accessors"][0] |= {"componentType": 5122, "normalized": True}
    document["nodes"][0]["scale"] = [3, 3, 3]

    mesh = _load(glb(document, rows.tobytes() + np.arange(3, dtype="<u4").tobytes()))

    assert mesh.vertices_mm == pytest.approx(np.array(POSITIONS, float), abs=2e-4)


def test_a_texture_inside_the_file_is_kept():
    """The image and its texture positions are unchanged; at the seam positions differ, but normals are the same."""
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.5], [0, 0, 0], [1, 1, 0.5], [0, 1, 0]], float)
    uv = np.array([[0, 0], [0.5, 0], [0.5, 1], [0.75, 0], [1, 1], [0.75, 1]], float)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(pixels))
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    quad = trimesh.Trimesh(vertices, [[0, 1, 2], [3, 4, 5]], visual=visual, process=False)

    mesh = _load(quad.export(file_type="glb"))

    assert (mesh.texture == pixels).all()
    assert mesh.uv[mesh.faces] == pytest.approx(uv[quad.faces])
    assert len(mesh.vertices_mm) == 6
    at_origin = (mesh.vertices_mm == 0).all(axis=1)
    assert at_origin.sum() == 2
    assert (mesh.normals[at_origin] == mesh.normals[at_origin][0]).all()


def test_parts_with_different_textures_keep_their_own(glb, triangle):
    """Several images are joined to one, in which every part has its colour, or its base colour without image."""
    document, binary = _textured(triangle, _png(4, 9, "red"), _png(7, 2, "lime"))
    document["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [0, 0, 1, 1]}})
    document["meshes"][0]["primitives"].append({"attributes": {"POSITION": 0}, "material": 2})

    mesh = _load(glb(document, binary))

    height, width = mesh.texture.shape[:2]
    columns, rows = (mesh.uv * (1, -1) + (0, 1)).T * [[width], [height]]
    found = mesh.texture[np.floor(rows).astype(int), np.floor(columns).astype(int)]
    assert found.tolist() == 3 * [[255, 0, 0]] + 3 * [[0, 255, 0]] + 3 * [[0, 0, 255]]


def test_different_base_colours_become_vertex_colours(glb, triangle):
    """A single base colour is ignored; two base colours distinguish parts."""
    document, binary = triangle
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}]
    document["meshes"][0]["primitives"][0]["material"] = 0
    assert _load(glb(document, binary)).colours is None

    document["meshes"][0]["primitives"].append({"attributes": {"POSITION": 0}})

    assert _load(glb(document, binary)).colours.tolist() == 3 * [[255, 0, 0]] + 3 * [[255, 255, 255]]


def test_a_huge_texture_is_rejected_by_its_header(glb, triangle):
    """A PNG of 30000 x 30000 pixels is rejected without decoding it, in little time and memory."""
    png = bytearray(_png(4, 4))
    struct.pack_into(">2I", png, 16, 30_000, 30_000)
    data = glb(*_textured(triangle, bytes(png)))

    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(DataError) as error:
        _load(data)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert str(error.value) == (
        "a.glb: a texture has 30,000 x 30,000 pixels, 900,000,000 in total; expected at most 67,108,864 (scale it down)"
    )
    assert seconds < 0.5
    assert peak < 1e6


def test_the_textures_of_all_parts_count_together(glb, triangle):
    """Two textures of half the limit are accepted; three are rejected, and so are two whose atlas is too large."""
    image, other = _png(10, 5, "red"), _png(10, 5, "lime")
    assert _load(glb(*_textured(triangle, image, other)), max_texture_pixels=100).texture is not None

    with pytest.raises(DataError, match=r"10 x 5 pixels, 150 in total; expected at most 100"):
        _load(glb(*_textured(triangle, image, other, _png(10, 5))), max_texture_pixels=100)
    with pytest.raises(DataError, match=r"2 textures need 50 x 51 pixels together; expected at most 200"):
        _load(glb(*_textured(triangle, _png(1, 50), _png(50, 1))), max_texture_pixels=100)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", r"a texture has no bytes \(the file is damaged\)"),
        (_png(9, 9)[:50], "a texture cannot be decoded"),
        (b"\xff\xd8\xff\xe0" + bytes(30), "a texture is not a PNG, JPEG or WebP; convert it, or export without it"),
    ],
)
def test_a_damaged_texture_is_rejected(image, reason, glb, triangle):
    """A texture of a known format that is cut off is data that is missing."""
    with pytest.raises(DataError, match=rf"\Aa.glb: {reason}"):
        _load(glb(*_textured(triangle, image)))


def _set(document, path, value):
    *path, last = path
    for key in path:
        document = document[key]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (
            ("accessors", 0, "count"),
            2**31,
            "2,147,483,648 vertices; expected at most 30,000,000 (simplify the mesh)",
        ),
        (
            ("accessors", 1, "count"),
            60_000_000,
            "20,000,000 faces; expected at most 10,000,000 (simplify the mesh)",
        ),
        (
            ("accessors", 0, "count"),
            1000,
            "accessor 0 announces 1,000 items, 12,000 bytes; its view has 36",
        ),
        (("accessors", 0, "count"), -3, "'count' in its JSON is -3; expected an integer, at least 0"),
        (
            ("bufferViews", 0, "byteLength"),
            2**31,
            "refers to bytes 0 to 2,147,483,648 of a buffer of 48",
        ),
        (("bufferViews", 1, "byteOffset"), 40, "refers to bytes 40 to 52 of a buffer of 48"),
        (("bufferViews", 0, "byteStride"), 200, "accessor 0 announces 3 items, 412 bytes; its view has 36"),
        (
            ("accessors", 0, "componentType"),
            9999,
            'accessor 0 has the unknown type "VEC3" of 9999 (the file is damaged)',
        ),
        (
            ("accessors", 0, "sparse"),
            {},
            "'count' in its JSON is missing; expected an integer, at least 0",
        ),
        (("accessors", 0, "type"), "VEC2", "positions have 2 numbers; expected x, y and z"),
        (("accessors", 1, "componentType"), 5126, "indices are 1 x float32; expected unsigned integers"),
        (("accessors", 1, "count"), 2, "no faces; a point cloud cannot be rendered (reconstruct its surface)"),
        (("meshes",), [], "refers to meshes[0], but has 0 meshes"),
        (("nodes",), [{}], "its scene has no part of a mesh; expected a surface in the default scene"),
        (("nodes", 0, "children"), [0], "node 0 has two parents or is its own ancestor (the file is damaged)"),
        (("nodes", 0, "scale"), [1, 1], "'scale' in its JSON is [1, 1]; expected 3 numbers"),
        (
            ("nodes", 0, "rotation"),
            [0, 0, 0, 0],
            "a quaternion of length zero is not a rotation; the identity is 1, 0, 0, 0",
        ),
        (("nodes",), {"mesh": 0}, "'nodes' in its JSON is {\"mesh\": 0}; expected a list of objects"),
        (
            ("meshes", 0, "primitives", 0, "mode"),
            7,
            "a primitive has the mode 7; expected 0 to 6",
        ),
        (
            ("meshes", 0, "primitives", 0, "mode"),
            0,
            "no triangles (left out 1 part of points); expected a surface in the default scene",
        ),
        (
            ("extensionsRequired",),
            ["KHR_draco_mesh_compression"],
            "is compressed with KHR_draco_mesh_compression, which is not read; export without compression",
        ),
        (
            ("buffers", 0, "uri"),
            "../../secret.bin",
            'refers to another file, "../../secret.bin", which is never opened; export one .glb with everything inside',
        ),
        (
            ("buffers", 0, "uri"),
            "data:;base64,***",
            'data URI "data:;base64,***" is not base64 (the file is damaged)',
        ),
    ],
)
def test_an_inconsistent_document_is_rejected(path, value, reason, glb, triangle):
    """The message has the wrong number or name, and nothing is allocated for announced sizes."""
    document, binary = triangle
    _set(document, path, value)

    tracemalloc.start()
    with pytest.raises(DataError) as error:
        _load(glb(document, binary))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert str(error.value) == f"a.glb: {reason}"
    assert peak < 1e6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 200_000, r"its JSON is nested too deeply \(the file is damaged\)"),
        (b'{"nodes": ' + b'{"a":' * 200_000, r"its JSON is nested too deeply \(the file is damaged\)"),
        (b"[]", r"its JSON is \[\]; expected an object"),
        (b"{", r"its JSON cannot be read \(.*\)"),
        (b'{"a": "\xff"}', r"its JSON cannot be read \(.*\)"),
        (b'{"scene": ' + b"9" * 5000 + b"}", r"its JSON cannot be read \(.*\)"),
        (b'{"x": "' + b" " * 2**24 + b'"}', r"16,777,228 bytes of JSON; expected at most 16,777,216 .*"),
    ],
)
def test_json_that_is_too_deep_too_long_or_invalid_is_rejected(text, reason, glb):
    """The JSON neither overflows the stack nor fills the memory."""
    with pytest.raises(DataError, match=rf"\Aa.glb: {reason}\Z"):
        _load(glb(text))


def test_every_copy_of_a_part_counts(glb, triangle):
    """A thousand nodes with the same mesh count as a thousand parts, with the faces of each."""
    document, binary = triangle
    document["nodes"] = [{"mesh": 0}] * 1000
    document["scenes"] = [{"nodes": list(range(1000))}]
    data = glb(document, binary)

    assert len(_load(data, max_faces=1000).faces) == 1000
    with pytest.raises(DataError, match="1,000 faces; expected at most 999"):
        _load(data, max_faces=999)
    with pytest.raises(DataError, match="more than 999 parts"):
        _load(data, max_parts=999)


def test_a_wrong_header_is_rejected(glb, triangle):
    """The file has version 1, or its header announces more bytes than it has."""
    data = glb(*triangle)
    with pytest.raises(DataError, match=r"version 1; expected a GLB \(glTF 2.0\)"):
        _load(data[:4] + b"\1\0\0\0" + data[8:])
    with pytest.raises(DataError, match=rf"\Aa.glb: {len(data) - 4:,} bytes; its header announces {len(data):,}"):
        _load(data[:-4])


@pytest.mark.parametrize("more", [-3, 1, 2, 3])
def test_the_length_of_the_whole_file_may_count_missing_padding(more, glb, triangle):
    """The lengths of its parts are strict: without its last byte it is cut off."""
    data = glb(*triangle)
    length = (len(data) + more).to_bytes(4, "little")

    assert (_load(data[:8] + length + data[12:]).vertices_mm == _load(data).vertices_mm).all()
    with pytest.raises(DataError, match="cut off"):
        _load(data[:8] + length + data[12:-1])


@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_a_strip_restarts_at_the_highest_number(kind, scene, scene_glb):
    """Also at both ends, and twice in a row."""
    highest = np.iinfo(kind).max
    corners = [highest, 0, 1, 3, 2, highest, highest, 4, 5, 7, 6, highest]
    square = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]])
    position = scene.add(np.vstack([square, square + np.array([9, 0, 0])]))
    scene.place({"attributes": {"POSITION": position}, "indices": scene.add(corners, kind), "mode": 5})

    mesh = _load(scene_glb(scene))

    assert np.sort(mesh.faces).tolist() == [[0, 1, 3], [1, 2, 3], [4, 5, 7], [5, 6, 7]]
    assert mesh.normals[:, 2].min() == 1


def test_the_highest_number_is_a_vertex_of_a_strip_that_has_it(scene, scene_glb):
    """256 vertices need no other type than bytes."""
    angles = np.arange(256) / 40
    vertices = np.stack([np.cos(angles), np.sin(angles), angles], axis=1)
    part = {"attributes": {"POSITION": scene.add(vertices)}, "indices": scene.add(np.arange(256), "u1"), "mode": 5}
    scene.place(part)

    assert _load(scene_glb(scene)).faces.max() == 255


ODD = (None, True, -1, 1.5, 2**31, 10**400, "x", "", [], {}, [0], [{}], {"a": 0}, [[0]])


def _paths(value, path=()):
    if path:
        yield path
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _paths(entry, (*path, key))


def _result(data: bytes) -> Mesh | str:
    """Return the mesh, or the message of a DataError."""
    try:
        return _load(data)
    except DataError as error:
        return str(error)


def test_any_wrong_value_in_the_document_gives_a_mesh_or_one_line(glb, triangle):
    """Every value of a complete document is replaced by every unusual value."""
    document, binary = _textured(triangle, _png(2, 2))
    document["nodes"] = [{"mesh": 0, "children": [1], "translation": [0, 0, 1]}, {"matrix": np.eye(4).ravel().tolist()}]
    text = json.dumps(document)
    assert len(_load(glb(document, binary)).faces) == 1

    for path in _paths(document):
        for value in ODD:
            corrupted = json.loads(text)
            _set(corrupted, path, value)
            result = _result(glb(corrupted, binary))
            if isinstance(result, str):
                assert result.startswith("a.glb: ")
                assert result.isprintable()
            else:
                assert np.isfinite(result.vertices_mm).all()
                assert result.faces.max() < len(result.vertices_mm)
