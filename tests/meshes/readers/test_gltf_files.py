import base64

import numpy as np
import pytest
import trimesh

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh


def _load(data: bytes, kind: str = "glb", **limits):
    return load_mesh(data, kind, np.eye(4), name="a", limits=Limits(**limits))


@pytest.mark.parametrize(
    "name", ["KHR_materials_unlit", "KHR_lights_punctual", "EXT_texture_webp", "KHR_mesh_quantization", "MSFT_lod"]
)
def test_extensions_that_keep_the_geometry_may_be_required(name, glb, triangle):
    """The mesh is read as without them."""
    document, binary = triangle

    assert len(_load(glb(document | {"extensionsRequired": [name]}, binary)).faces) == 1


@pytest.mark.parametrize("name", ["CESIUM_RTC", "KHR_gaussian_splatting", "ACME_something", "KHR_materials"])
def test_an_unknown_required_extension_is_rejected_by_name(name, glb, triangle):
    """It may change the geometry, so that reading without it would be wrong without a word."""
    document, binary = triangle
    with pytest.raises(DataError, match=f'requires the extension "{name}", which is not read; export without it'):
        _load(glb(document | {"extensionsRequired": ["KHR_materials_unlit", name]}, binary))

    assert len(_load(glb(document | {"extensionsUsed": [name]}, binary)).faces) == 1


@pytest.mark.parametrize("name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"])
def test_compressed_geometry_is_rejected(name, glb, triangle):
    """A compression is named where it is required, and where the plain numbers are missing."""
    document, binary = triangle
    with pytest.raises(DataError, match=f"is compressed with {name}, which is not read; export without compression"):
        _load(glb(document | {"extensionsRequired": [name]}, binary))

    if "draco" in name:
        document["meshes"][0]["primitives"][0]["extensions"] = {name: {"bufferView": 0}}
        assert len(_load(glb(document, binary)).faces) == 1  # plain numbers as well
        del document["accessors"][0]["bufferView"]
    else:
        document["buffers"] = [{"byteLength": 0}, {"byteLength": 48}]
        document["bufferViews"][0] |= {"buffer": 1, "extensions": {name: {"buffer": 0}}}
    with pytest.raises(DataError, match=f"is compressed with {name}"):
        _load(glb(document, binary))


def test_a_gltf_with_everything_embedded_is_read(ellipsoid):
    """Buffers as data URIs do not count as JSON; a buffer in another file is named."""
    options = {"merge_buffers": True}
    files = trimesh.exchange.gltf.export_gltf(trimesh.Scene([ellipsoid]), embed_buffers=True, **options)
    mesh = _load(files["model.gltf"], "gltf", max_json_bytes=2000)
    assert mesh.vertices_mm == pytest.approx(ellipsoid.vertices, abs=1e-5)
    with pytest.raises(DataError, match="bytes of JSON; expected at most 200"):
        _load(files["model.gltf"], "gltf", max_json_bytes=200)

    files = trimesh.exchange.gltf.export_gltf(trimesh.Scene([ellipsoid]), **options)
    with pytest.raises(
        DataError, match=r"a: refers to another file, \"gltf_buffer.bin\", which is never opened; export"
    ):
        _load(files["model.gltf"], "gltf")


def test_only_the_first_buffer_is_the_binary_part(glb, triangle):
    """A second buffer without bytes is not read from the first one."""
    document, binary = triangle
    document["buffers"].append({"byteLength": 48})
    document["bufferViews"][0]["buffer"] = 1
    with pytest.raises(DataError, match="refers to bytes 0 to 36 of a buffer of 0"):
        _load(glb(document, binary))

    document["buffers"][1]["uri"] = "data:;base64," + base64.b64encode(binary).decode()
    assert len(_load(glb(document, binary)).faces) == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_first_version_is_named(version):
    """Its lists are objects, which are not damaged."""
    with pytest.raises(DataError, match=r"\Aa: is glTF 1.0, which is not read; convert it to glTF 2.0\Z"):
        _load(f'{{"asset": {{"version": "{version}"}}, "accessors": {{"a": {{}}}}}}'.encode(), "gltf")
