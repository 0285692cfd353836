"""The container of a GLB and its numbers: chunks, buffers and accessors, which are checked when they are used.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.6 (buffers) and 4 (GLB).
"""

import base64
import binascii
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits

_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_COMPRESSIONS = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")
_SECTIONS = ("accessors", "buffers", "bufferViews", "images", "materials", "meshes", "nodes", "scenes", "textures")
_JSON, _BIN = 0x4E4F534A, 0x004E4942


@dataclass(frozen=True, eq=False)
class Gltf:
    """A glTF in memory.

    sections: the JSON's top-level lists of objects, such as `meshes`; empty if they are missing.
    scene: index of the default scene.
    buffers: the bytes of each buffer.
    """

    sections: dict[str, list[dict[str, Any]]]
    scene: int
    buffers: list[memoryview]

    def entry(self, section: str, index: Any) -> dict[str, Any]:
        """Return one object of a top-level list.

        Raises:
            DataError: if the index is not one of the list.
        """
        entries = self.sections[section]
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(entries):
            raise DataError(f"refers to {section}[{short(index)}], but has {len(entries)} {section}")
        return entries[index]

    def view(self, index: Any) -> memoryview:
        """Return the bytes of a bufferView."""
        view = self.entry("bufferViews", index)
        self.entry("buffers", view.get("buffer"))
        buffer: memoryview = self.buffers[view["buffer"]]
        start, length = whole(view, "byteOffset", 0), whole(view, "byteLength")
        if start + length > len(buffer):
            raise DataError(f"refers to bytes {start:,} to {start + length:,} of a buffer of {len(buffer):,}")
        return buffer[start : start + length]

    def count(self, index: Any) -> int:
        """Return the announced number of items of an accessor."""
        return whole(self.entry("accessors", index), "count")

    def accessor(self, index: Any) -> NDArray[np.generic]:
        """Return the items (count, width) of an accessor; normalized integers are scaled to [-1, 1] or [0, 1]."""
        accessor = self.entry("accessors", index)
        if "sparse" in accessor or "bufferView" not in accessor:
            raise DataError(f"accessor {index} is sparse or compressed; export plain numbers")
        dtype = np.dtype(_DTYPES.get(accessor.get("componentType", 0), "V1"))
        width = _WIDTHS.get(accessor.get("type", ""), 0)
        if dtype.kind == "V" or not width:
            raise DataError(
                f"accessor {index} has the unknown type {short(accessor.get('type'))} "
                f"of {short(accessor.get('componentType'))} (the file is damaged)"
            )
        count, start = whole(accessor, "count"), whole(accessor, "byteOffset", 0)
        data = self.view(accessor["bufferView"])
        stride = whole(self.entry("bufferViews", accessor["bufferView"]), "byteStride", 0) or width * dtype.itemsize
        end = start + (count - 1) * stride + width * dtype.itemsize if count else start
        if end > len(data):
            raise DataError(f"accessor {index} announces {count:,} items, {end:,} bytes; its view has {len(data):,}")
        items = (
            np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))
            if count
            else np.empty((0, width), dtype)
        )
        if accessor.get("normalized") and dtype.kind in "iu":
            return np.maximum(items / np.float32(np.iinfo(dtype).max), -1)
        return items


def read_container(data: bytes, limits: Limits) -> Gltf:
    """Return the glTF of a GLB's bytes.

    Raises:
        DataError: if the file is cut off or damaged, or refers to another file.
    """
    if len(data) < 20:
        raise DataError(f"{len(data)} bytes; a GLB has at least 20 (the file is cut off)")
    magic, version, length, json_length, json_type = struct.unpack_from("<4s4I", data)
    if magic != b"glTF" or version != 2 or json_type != _JSON:
        raise DataError(f"begins with {magic!r}, version {version}; expected a GLB (glTF 2.0)")
    if length > len(data) or 20 + json_length > len(data):
        raise DataError(
            f"{len(data):,} bytes; its header announces {max(length, 20 + json_length):,} (the file is cut off)"
        )
    if json_length > limits.max_json_bytes:
        raise DataError(
            f"{json_length:,} bytes of JSON; expected at most {limits.max_json_bytes:,} (move data to the binary part)"
        )
    document = _document(data[20 : 20 + json_length])
    sections = {name: objects(document, name) for name in _SECTIONS}
    _refuse_elsewhere(document, sections)
    binary = _binary(data, 20 + json_length)
    buffers = [memoryview(embedded(entry["uri"])) if "uri" in entry else binary for entry in sections["buffers"]]
    return Gltf(sections, whole(document, "scene", 0), buffers)


def whole(entry: dict[str, Any], key: str, default: int | None = None) -> int:
    """Return an integer from 0 to 2^53 from a JSON object.

    Raises:
        DataError: if the value is anything else.
    """
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise DataError(f"{key!r} in its JSON is {short(value)}; expected an integer, at least 0")
    return value


def objects(entry: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of objects in a JSON object; empty if it is missing.

    Raises:
        DataError: if the value is anything else.
    """
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DataError(f"{key!r} in its JSON is {short(values)}; expected a list of objects")
    return values


def embedded(uri: Any) -> bytes:
    """Return the bytes of a data: URI.

    Raises:
        DataError: if it is any other URI, which is never opened.
    """
    if not isinstance(uri, str) or not uri.startswith("data:"):
        raise _elsewhere(uri)
    try:
        return base64.b64decode(uri.partition("base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"data URI {short(uri)} is not base64 (the file is damaged)") from None


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text.rstrip(b" \0"))
    except RecursionError:
        raise DataError("its JSON is nested too deeply (the file is damaged)") from None
    except ValueError as error:
        raise DataError(f"its JSON cannot be read ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(document, dict):
        raise DataError(f"its JSON is {short(document)}; expected an object")
    return document


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


def _refuse_elsewhere(document: dict[str, Any], sections: dict[str, list[dict[str, Any]]]) -> None:
    """Raise DataError if a buffer or an image is in another file, or the geometry is compressed."""
    for entry in sections["buffers"] + sections["images"]:
        if "uri" in entry and not str(entry["uri"]).startswith("data:"):
            raise _elsewhere(entry["uri"])
    required = str(document.get("extensionsRequired"))
    for name in _COMPRESSIONS:
        if name in required:
            raise DataError(f"is compressed with {name}, which is not read; export without compression")


def _elsewhere(uri: Any) -> DataError:
    return DataError(f"refers to another file, {short(uri)}, which is never opened; export with everything embedded")


def short(value: Any) -> str:
    """Return a value of the JSON, shortened for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
