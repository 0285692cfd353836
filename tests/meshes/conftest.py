"""Meshes written to bytes, whole and in pieces."""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import trimesh


@pytest.fixture(scope="session")
def ellipsoid() -> trimesh.Trimesh:
    """162 vertices, 320 faces, semi-axes 3, 2, 1, off the origin."""
    return trimesh.creation.icosphere(subdivisions=2).apply_scale([3, 2, 1]).apply_translation([0.5, 0.25, -2])


@pytest.fixture(scope="session")
def exported() -> Callable[..., bytes]:
    """A function that gives the bytes of a mesh as a file of some type; `ply_ascii` and `stl_ascii` are text."""

    def exported(mesh: trimesh.Trimesh, kind: str) -> bytes:
        options = {"encoding": "ascii"} if kind == "ply_ascii" else {}
        written = mesh.export(file_type=kind.removeprefix(".").replace("ply_ascii", "ply"), **options)
        return written.encode() if isinstance(written, str) else written

    return exported


@pytest.fixture(scope="session")
def glb() -> Callable[..., bytes]:
    """A function that packs a glTF document and its binary part into a GLB."""

    def glb(document: dict[str, Any] | bytes, binary: bytes = b"") -> bytes:
        text = (
            document if isinstance(document, bytes) else json.dumps({"asset": {"version": "2.0"}} | document).encode()
        )
        text += b" " * (-len(text) % 4)
        binary += b"\0" * (-len(binary) % 4)
        chunks = struct.pack("<2I", len(text), 0x4E4F534A) + text + struct.pack("<2I", len(binary), 0x004E4942) + binary
        return struct.pack("<4s2I", b"glTF", 2, 12 + len(chunks)) + chunks

    return glb


@pytest.fixture
def triangle() -> tuple[dict[str, Any], bytes]:
    """The document and the binary part of a GLB of one triangle (0 0 0, 3 0 0, 0 2 0), free to be corrupted."""
    positions = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0]], "<f4").tobytes()
    document = {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 12},
        ],
        "buffers": [{"byteLength": 48}],
    }
    return document, positions + np.arange(3, dtype="<u4").tobytes()
