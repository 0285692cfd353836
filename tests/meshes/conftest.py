"""Meshes as the bytes of files, and ellipsoids with bumps whose landmarks are known exactly."""

import gzip
import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from featurelib.meshes.template import Template, build_template

SIDE_BUMP = np.array([0.95, 0.1, 0.2]) / np.linalg.norm([0.95, 0.1, 0.2])
NOSE = np.array([0.0, -0.1, 1.0]) / np.linalg.norm([0.0, -0.1, 1.0])


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


@cache
def _directions(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors (n, 3) on a grid of latitudes and longitudes and the faces (m, 3) between them."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij")
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1)
    here = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    right = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    faces = np.concatenate([np.c_[here, right, here + columns], np.c_[right, right + columns, here + columns]])
    return directions.reshape(-1, 3), faces


def _surface(directions: np.ndarray, radii_mm: np.ndarray, bump_mm: float) -> np.ndarray:
    """Return the points (n, 3) of an ellipsoid in these directions, with bumps on the left, the right and in front."""
    height = np.ones(len(directions))
    for bump, width, size in ((SIDE_BUMP, 0.25, 1.0), (SIDE_BUMP * (-1, 1, 1), 0.25, 1.0), (NOSE, 0.3, 1.5)):
        height += bump_mm / 80 * size * np.exp(-((directions - bump) ** 2).sum(-1) / 2 / width**2)
    return directions * radii_mm * height[:, None]


def _head(
    radii_mm=(75.0, 110.0, 95.0), bump_mm: float = 18.0, grid=(40, 60)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, faces and the landmark pair (2, 3): the tips of the bumps at its sides."""
    directions, faces = _directions(*grid)
    landmarks_mm = _surface(np.array([SIDE_BUMP, SIDE_BUMP * (-1, 1, 1)]), np.array(radii_mm), bump_mm)
    return _surface(directions, np.array(radii_mm), bump_mm), faces, landmarks_mm


def _family(count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return heads with different proportions, meshes and poses (up to 10 degrees)."""
    random = np.random.default_rng(seed)
    heads = []
    for _ in range(count):
        vertices, faces, landmarks_mm = _head(
            np.array([75, 110, 95]) * random.uniform(0.93, 1.07, 3),
            random.uniform(14, 22),
            (random.integers(30, 50), 60),
        )
        pose = Rotation.from_rotvec(np.radians(random.uniform(-6, 6, 3))).as_matrix() * random.uniform(0.9, 1.1)
        shift = random.uniform(-30, 30, 3)
        heads.append((vertices @ pose.T + shift, faces, landmarks_mm @ pose.T + shift))
    return heads


@pytest.fixture(scope="session")
def ellipsoid() -> trimesh.Trimesh:
    """162 vertices, 320 faces, semi-axes 3, 2, 1, off the origin."""
    return trimesh.creation.icosphere(subdivisions=2).apply_scale([3, 2, 1]).apply_translation([0.5, 0.25, -2])


@pytest.fixture(scope="session")
def exported() -> Callable[..., bytes]:
    """A function that returns a mesh as the bytes of a file; `ply_ascii` and `stl_ascii` are text."""

    def exported(mesh: trimesh.Trimesh, kind: str) -> bytes:
        kind = kind.removeprefix(".")
        if kind.endswith(".gz"):
            return gzip.compress(exported(mesh, kind.removesuffix(".gz")))
        if kind[:3] in ("vtk", "vtp"):
            return vtk_file(mesh, kind)
        if kind == "gltf":
            files = trimesh.exchange.gltf.export_gltf(trimesh.Scene([mesh]), merge_buffers=True, embed_buffers=True)
            return files["model.gltf"]
        options = {"encoding": "ascii"} if kind == "ply_ascii" else {}
        written = mesh.export(file_type=kind.replace("ply_ascii", "ply"), **options)
        return written.encode() if isinstance(written, str) else written

    return exported


def vtk_file(mesh: trimesh.Trimesh, kind: str) -> bytes:
    """Return a mesh as legacy text or binary, or as XML with appended data: compressed base64, or raw."""
    surface = vtkPolyData()
    points, cells = vtkPoints(), vtkCellArray()
    ends = np.arange(0, 3 * len(mesh.faces) + 1, 3)
    points.SetData(numpy_to_vtk(np.ascontiguousarray(mesh.vertices, np.float64), deep=True))
    cells.SetData(*(numpy_to_vtkIdTypeArray(np.int64(values), deep=True) for values in (ends, mesh.faces.ravel())))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    if mesh.visual.kind == "vertex":
        colours = numpy_to_vtk(np.ascontiguousarray(mesh.visual.vertex_colors[:, :3]), deep=True)
        colours.SetName("RGB")
        surface.GetPointData().SetScalars(colours)
    writer = vtkPolyDataWriter() if kind[:3] == "vtk" else vtkXMLPolyDataWriter()
    if kind == "vtk_binary":
        writer.SetFileTypeToBinary()
    if kind == "vtp_raw":
        writer.EncodeAppendedDataOff()
    with tempfile.TemporaryDirectory() as folder:
        writer.SetInputData(surface)
        writer.SetFileName(f"{folder}/a")
        writer.Write()
        return Path(folder, "a").read_bytes()


@pytest.fixture(scope="session")
def glb() -> Callable[..., bytes]:
    """A function that returns a glTF document and its binary part as a GLB."""

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
    """The document and the binary part of a GLB of one triangle (0 0 0, 3 0 0, 0 2 0), which a test may corrupt."""
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


@pytest.fixture(scope="session")
def head() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """`_head`: vertices, faces and landmark pair of one head."""
    return _head


@pytest.fixture(scope="session")
def family() -> Callable[..., list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """`_family`: several heads."""
    return _family


@pytest.fixture(scope="session")
def mean() -> Template:
    """The template of six heads."""
    return build_template(_family(6), num_points=800)


@pytest.fixture
def scene() -> Scene:
    """An empty glTF."""
    return Scene()


@pytest.fixture
def scene_glb(glb) -> Callable[[Scene], bytes]:
    """A function that returns a Scene as a GLB."""
    return lambda scene: glb(json.loads(json.dumps(scene.document)), scene.binary)
