"""The container of a glTF: a GLB with its chunks, or JSON with its data embedded as text.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.6.1 (buffers), 3.12 (extensions) and 4
(GLB).
"""

import base64
import binascii
import json
import re
import struct
from typing import Any

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.gltf import Gltf, member, objects, refuse_compressed, short, whole

_SECTIONS = (
    "accessors", "buffers", "bufferViews", "images", "materials", "meshes", "nodes", "scenes", "skins", "textures",
)  # fmt: skip
_JSON, _BIN = 0x4E4F534A, 0x004E4942

_UNDERSTOOD = re.compile(
    "KHR_mesh_quantization|KHR_texture_transform|KHR_node_visibility|EXT_mesh_gpu_instancing|EXT_texture_webp"
    "|KHR_texture_basisu|MSFT_texture_dds|MSFT_lod|(KHR|EXT|ADOBE)_(materials|lights|animation|xmp)_.+"
)
"""Extensions that a file may require: they are read, or change nothing but the light, or give a texture that is left
out with a note. Any other may change the geometry."""

MAX_PADDING = 3
"""Bytes that a header may announce too many: padding that was not written. The lengths of the parts are strict."""

_DATA_URI = re.compile(rb'"data:[^"\\]*"')


def read_container(data: bytes, limits: Limits) -> Gltf:
    """Return the glTF of a GLB's bytes.

    Raises:
        DataError: if the file is cut off or damaged, refers to another file, or requires an unknown extension.
    """
    if len(data) < 20:
        raise DataError(f"{len(data)} bytes; a GLB has at least 20 (the file is cut off)")
    magic, version, length, json_length, json_type = struct.unpack_from("<4s4I", data)
    if magic != b"glTF" or version != 2 or json_type != _JSON:
        raise DataError(f"begins with {magic!r}, version {version}; expected a GLB (glTF 2.0)")
    if length > len(data) + MAX_PADDING or 20 + json_length > len(data):
        raise DataError(
            f"{len(data):,} bytes; its header announces {max(length, 20 + json_length):,} (the file is cut off)"
        )
    _refuse_long(json_length, limits)
    return _gltf(parse(data[20 : 20 + json_length]), _binary(data, 20 + json_length), limits)


def read_text(data: bytes, limits: Limits) -> Gltf:
    """Return the glTF of JSON that has all its buffers embedded as data URIs, which do not count as JSON.

    Raises:
        DataError: as `read_container`.
    """
    _refuse_long(len(data) - sum(len(uri.group()) for uri in _DATA_URI.finditer(data)), limits)
    return _gltf(parse(data), memoryview(b""), limits)


def parse(text: bytes) -> dict[str, Any]:
    """Return the object of some JSON.

    Raises:
        DataError: if it is anything else.
    """
    try:
        document = json.loads(text.rstrip(b" \0"))
    except RecursionError:
        raise DataError("its JSON is nested too deeply (the file is damaged)") from None
    except ValueError as error:
        raise DataError(f"its JSON cannot be read ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(document, dict):
        raise DataError(f"its JSON is {short(document)}; expected an object")
    return document


def embedded(uri: Any) -> bytes:
    """Return the bytes of a data: URI.

    Raises:
        DataError: if it is any other URI, which is never opened.
    """
    if is_elsewhere(uri):
        raise DataError(
            f"refers to another file, {short(uri)}, which is never opened; export one .glb with everything inside"
        )
    try:
        return base64.b64decode(uri.partition("base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"data URI {short(uri)} is not base64 (the file is damaged)") from None


def is_elsewhere(uri: Any) -> bool:
    """Whether a URI is that of another file."""
    return not isinstance(uri, str) or not uri.startswith("data:")


def _gltf(document: dict[str, Any], binary: memoryview, limits: Limits) -> Gltf:
    """Return a parsed document with its buffers; only the first one may be the binary part of a GLB."""
    if str(member(document, "asset").get("version", "")).startswith("1."):
        raise DataError("is glTF 1.0, which is not read; convert it to glTF 2.0")
    _refuse_extensions(document.get("extensionsRequired", []))
    sections = {name: objects(document, name) for name in _SECTIONS}
    buffers = [
        memoryview(embedded(entry["uri"])) if "uri" in entry else binary if index == 0 else memoryview(b"")
        for index, entry in enumerate(sections["buffers"])
    ]
    return Gltf(sections, whole(document, "scene", 0), buffers, limits)


def _refuse_extensions(names: Any) -> None:
    """Raise DataError if a file requires an extension that may change its geometry."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"'extensionsRequired' in its JSON is {short(names)}; expected a list of names")
    refuse_compressed(names)
    for name in names:
        if not _UNDERSTOOD.fullmatch(name):
            raise DataError(f"requires the extension {short(name)}, which is not read; export without it")


def _refuse_long(num_bytes: int, limits: Limits) -> None:
    if num_bytes > limits.max_json_bytes:
        raise DataError(
            f"{num_bytes:,} bytes of JSON; expected at most {limits.max_json_bytes:,} (move data to the binary part)"
        )


def _binary(data: bytes, start: int) -> memoryview:
    """Return the binary chunk after the JSON; empty if there is none."""
    while start + 8 <= len(data):
        length, kind = struct.unpack_from("<2I", data, start)
        if start + 8 + length > len(data):
            raise DataError(
                f"its last chunk announces {length:,} bytes and has {len(data) - start - 8:,} (the file is cut off)"
            )
        if kind == _BIN:
            return memoryview(data)[start + 8 : start + 8 + length]
        start += 8 + length
    return memoryview(b"")
