"""Write a mesh as GLB for viewers, with positions, normals, and colours or a texture.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.6, 3.7 and 4.
"""

import io
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featurelib.meshes.mesh import Mesh

_FLOAT, _UINT32, _UINT8 = 5126, 5125, 5121
_JSON, _BIN = b"JSON", b"BIN\0"


def write_glb(mesh: Mesh) -> bytes:
    """Return a mesh as GLB; coordinates stay in mm, although the unit of glTF is the metre.

    The axes of glTF are those of the object frame: +y is up, +z is out of the face, and +x is the object's left.
    """
    gltf = _Writer()
    vertices_mm, origin_mm = mesh.in_single_precision()
    low, high = (vertices_mm.min(axis=0).tolist(), vertices_mm.max(axis=0).tolist())
    attributes = {
        "POSITION": gltf.accessor(vertices_mm, _FLOAT, "VEC3", min=low, max=high),
        "NORMAL": gltf.accessor(mesh.normals, _FLOAT, "VEC3"),
    }
    material: dict[str, Any] = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}
    if mesh.uv is not None and mesh.texture is not None:
        attributes["TEXCOORD_0"] = gltf.accessor(mesh.uv * (1, -1) + (0, 1), _FLOAT, "VEC2")  # v points down in glTF
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": gltf.texture(mesh.texture)}
    elif mesh.colours is not None:
        rgba = np.pad(mesh.colours, ((0, 0), (0, 1)), constant_values=255)  # rows must be multiples of 4 bytes
        attributes["COLOR_0"] = gltf.accessor(rgba, _UINT8, "VEC4", normalized=True)
    indices = gltf.accessor(mesh.faces.reshape(-1), _UINT32, "SCALAR")
    primitive = {"attributes": attributes, "indices": indices, "material": 0}
    return gltf.file(primitive, material, {"translation": origin_mm.tolist()} if origin_mm.any() else {})


class _Writer:
    """The JSON and the binary part of a GLB under construction."""

    def __init__(self) -> None:
        self.binary = bytearray()
        self.sections: dict[str, list[dict[str, Any]]] = {"bufferViews": [], "accessors": []}

    def accessor(self, values: NDArray[Any], kind: int, shape: str, **more: Any) -> int:
        """Add an accessor and return its index."""
        dtype = {_FLOAT: "<f4", _UINT32: "<u4", _UINT8: "u1"}[kind]
        view = self._view(values.astype(dtype).tobytes())
        self.sections["accessors"].append(
            {"bufferView": view, "componentType": kind, "count": len(values), "type": shape, **more}
        )
        return len(self.sections["accessors"]) - 1

    def texture(self, pixels: NDArray[np.uint8]) -> int:
        """Add an image (h, w, 3) and return the index of its texture."""
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, "PNG", compress_level=1)
        self.sections["images"] = [{"bufferView": self._view(png.getvalue()), "mimeType": "image/png"}]
        self.sections["textures"] = [{"source": 0}]
        return 0

    def file(self, primitive: dict[str, Any], material: dict[str, Any], place: dict[str, Any]) -> bytes:
        """Return the file of one primitive with its material, at the place of its node."""
        content = {
            "asset": {"version": "2.0", "generator": "featurelib"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0, **place}],
            "meshes": [{"primitives": [primitive]}],
            "materials": [material],
            "buffers": [{"byteLength": len(self.binary)}],
            **self.sections,
        }
        return pack(content, bytes(self.binary))

    def _view(self, content: bytes) -> int:
        self.binary += bytes(-len(self.binary) % 4)
        start = len(self.binary)
        self.binary += content
        self.sections["bufferViews"].append({"buffer": 0, "byteOffset": start, "byteLength": len(content)})
        return len(self.sections["bufferViews"]) - 1


def pack(document: dict[str, Any], binary: bytes) -> bytes:
    """Return the JSON and the binary part of a glTF as one GLB."""
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = _chunk(_JSON, text, b" ") + _chunk(_BIN, binary, b"\0")
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes, padding: bytes) -> bytes:
    content += padding * (-len(content) % 4)
    return struct.pack("<I4s", len(content), kind) + content
