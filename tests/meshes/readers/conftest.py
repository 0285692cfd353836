"""A glTF under construction, as a document and its binary part."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class Scene:
    """The document of a glTF with one node and one mesh, its accessors, and its binary part."""

    def __init__(self) -> None:
        self.binary = b""
        self.document: dict[str, Any] = {"bufferViews": [], "accessors": [], "scenes": [{"nodes": [0]}], "scene": 0}

    def view(self, content: bytes, **more: Any) -> int:
        """Add bytes and return the index of their bufferView."""
        self.binary += bytes(-len(self.binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(content), **more}
        self.binary += content
        self.document["bufferViews"].append(view)
        self.document["buffers"] = [{"byteLength": len(self.binary)}]
        return len(self.document["bufferViews"]) - 1

    def add(self, values: Any, dtype: str = "f4", **more: Any) -> int:
        """Add numbers and return the index of their accessor."""
        values = np.asarray(values, "<" + dtype)
        kind = KINDS[values.shape[1] if values.ndim > 1 else 1]
        accessor = {"componentType": COMPONENTS[dtype], "count": len(values), "type": kind, **more}
        self.document["accessors"].append({"bufferView": self.view(values.tobytes()), **accessor})
        return len(self.document["accessors"]) - 1

    def place(self, *primitives: dict[str, Any], **node: Any) -> None:
        """Set the primitives of the one mesh, and the keys of its node."""
        self.document["meshes"] = [{"primitives": list(primitives)}]
        self.document["nodes"] = [{"mesh": 0, **node}]


@pytest.fixture
def scene() -> Scene:
    """An empty glTF."""
    return Scene()


@pytest.fixture
def scene_glb(glb) -> Callable[[Scene], bytes]:
    """A function that returns a Scene as a GLB."""
    return lambda scene: glb(json.loads(json.dumps(scene.document)), scene.binary)
