"""The numbers of a glTF: buffers and accessors, which are checked when they are used.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, section 3.6 (buffers, accessors, sparse accessors).
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits

_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

COMPRESSIONS = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")
"""Extensions that hide the numbers of the geometry."""


@dataclass(frozen=True, eq=False)
class Gltf:
    """A glTF in memory.

    sections: the JSON's top-level lists of objects, such as `meshes`; empty if they are missing.
    scene: index of the default scene.
    buffers: the bytes of each buffer; empty if it has none of its own.
    limits: for items that are zero because no bytes are stored.
    """

    sections: dict[str, list[dict[str, Any]]]
    scene: int
    buffers: list[memoryview]
    limits: Limits

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
        if not buffer:  # the placeholder of a compressed buffer
            refuse_compressed(member(view, "extensions"))
        start, length = whole(view, "byteOffset", 0), whole(view, "byteLength")
        if start + length > len(buffer):
            raise DataError(f"refers to bytes {start:,} to {start + length:,} of a buffer of {len(buffer):,}")
        return buffer[start : start + length]

    def count(self, index: Any) -> int:
        """Return the announced number of items of an accessor."""
        return whole(self.entry("accessors", index), "count")

    def accessor(self, index: Any) -> NDArray[np.generic]:
        """Return the items (count, width) of an accessor; normalized integers are scaled to [-1, 1] or [0, 1].

        Items without stored bytes are zero; those that a sparse accessor names are replaced.
        """
        accessor = self.entry("accessors", index)
        items: NDArray[Any] = (
            self._stored(accessor, index) if "bufferView" in accessor else self._zeros(accessor, index)
        )
        if "sparse" in accessor:
            items = self._replaced(items, accessor, index)
        if accessor.get("normalized") and items.dtype.kind in "iu":
            return np.maximum(items / np.float32(np.iinfo(items.dtype).max), -1)
        return items

    def _stored(self, accessor: dict[str, Any], index: Any) -> NDArray[np.generic]:
        """Return the items that a bufferView holds."""
        dtype, width = _layout(accessor, index)
        count, start = whole(accessor, "count"), whole(accessor, "byteOffset", 0)
        data = self.view(accessor["bufferView"])
        stride = whole(self.entry("bufferViews", accessor["bufferView"]), "byteStride", 0) or width * dtype.itemsize
        end = start + (count - 1) * stride + width * dtype.itemsize if count else start
        if end > len(data):
            raise DataError(f"accessor {index} announces {count:,} items, {end:,} bytes; its view has {len(data):,}")
        if not count:
            return np.empty((0, width), dtype)
        return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize))

    def _zeros(self, accessor: dict[str, Any], index: Any) -> NDArray[np.generic]:
        """Return items without bytes, which are zero."""
        dtype, width = _layout(accessor, index)
        count = whole(accessor, "count")
        if count > self.limits.max_vertices:
            raise DataError(
                f"accessor {index} announces {count:,} items; expected at most {self.limits.max_vertices:,}"
            )
        return np.zeros((count, width), dtype)

    def _replaced(self, items: NDArray[np.generic], accessor: dict[str, Any], index: Any) -> NDArray[np.generic]:
        """Return the items with those of a sparse accessor in place."""
        sparse = member(accessor, "sparse")
        count = {"count": whole(sparse, "count")}
        at, values = member(sparse, "indices"), member(sparse, "values")
        places = self._stored({"bufferView": None} | at | count | {"type": "SCALAR"}, index).ravel()
        kind = {"type": accessor["type"], "componentType": accessor["componentType"]}
        new = self._stored({"bufferView": None} | values | count | kind, index)
        if places.dtype.kind != "u" or (places.size and int(places.max()) >= len(items)):
            raise DataError(f"accessor {index} replaces items that it does not have (the file is damaged)")
        items = items.copy()
        items[places] = new
        return items


def _layout(accessor: dict[str, Any], index: Any) -> tuple[np.dtype[Any], int]:
    """Return the type of an accessor's numbers, and how many an item has."""
    component, kind = accessor.get("componentType"), accessor.get("type")
    if type(component) is not int or component not in _DTYPES or type(kind) is not str or kind not in _WIDTHS:
        raise DataError(
            f"accessor {index} has the unknown type {short(kind)} of {short(component)} (the file is damaged)"
        )
    return np.dtype(_DTYPES[component]), _WIDTHS[kind]


def refuse_compressed(names: Any) -> None:
    """Raise DataError if one of the names of extensions is a compression."""
    for name in COMPRESSIONS:
        if name in names:
            raise DataError(f"is compressed with {name}, which is not read; export without compression")


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


def member(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return the object at a path of keys in a JSON object; empty if there is none."""
    value: Any = entry
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def floats(entry: dict[str, Any], key: str, count: int) -> NDArray[np.float64]:
    """Return a list of numbers (count,) in a JSON object.

    Raises:
        DataError: if the value is anything else.
    """
    values = entry[key]
    if not isinstance(values, list) or len(values) != count or not all(type(value) in (int, float) for value in values):
        raise DataError(f"{key!r} in its JSON is {short(values)}; expected {count} numbers")
    return np.array(values, dtype=np.float64)


def indices(entry: dict[str, Any], key: str) -> list[int]:
    """Return a list of indices in a JSON object; empty if it is missing.

    Raises:
        DataError: if the value is anything else.
    """
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise DataError(f"{key!r} in its JSON is {short(values)}; expected a list of indices")
    return values


def short(value: Any) -> str:
    """Return a value of the JSON, shortened for a message; `missing` if there is none."""
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
