"""Any mesh that another program writes comes back: area, volume, bounding box, and colours where they are stored."""

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import meshio
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter
from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
from vtkmodules.vtkIOPLY import vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from featurelib.meshes import load_mesh

EXAMPLES = settings(max_examples=12, deadline=None, derandomize=True)


@dataclass(frozen=True, eq=False)
class Shape:
    """A closed surface of convex polygons, and colours (n, 3) of its vertices, all different enough to be kept."""

    vertices: np.ndarray
    polygons: list[list[int]]
    colours: np.ndarray

    @property
    def triangles(self) -> np.ndarray:
        """The polygons as fans, which is exact because they are convex and plane."""
        return np.array([[p[0], p[k], p[k + 1]] for p in self.polygons for k in range(1, len(p) - 1)])

    def trimesh(self, colours: np.ndarray | None = None) -> trimesh.Trimesh:
        return trimesh.Trimesh(self.vertices, self.triangles, vertex_colors=colours, process=False)


@st.composite
def shapes(draw) -> Shape:
    """Prisms over regular polygons of 3 to 9 corners in any pose and size, or spheres of triangles; off the origin."""
    sides, size = draw(st.integers(3, 9)), draw(st.sampled_from([3.0, 80.0, 1700.0]))
    angles = 2 * np.pi * np.arange(sides) / sides
    ring = np.c_[np.cos(angles), np.sin(angles)]
    if draw(st.booleans()):
        vertices = np.concatenate([np.c_[ring, np.full(sides, -0.7)], np.c_[ring, np.full(sides, 0.7)]])
        around = [[k, (k + 1) % sides, (k + 1) % sides + sides, k + sides] for k in range(sides)]
        polygons = [[*reversed(range(sides))], [*range(sides, 2 * sides)], *around]
    else:
        ball = trimesh.creation.icosphere(subdivisions=1)
        vertices, polygons = ball.vertices, ball.faces.tolist()
    seed = draw(st.integers(0, 2**16))
    pose = trimesh.transformations.random_rotation_matrix(np.random.default_rng(seed).random(3))[:3, :3]
    offset = np.array(draw(st.tuples(*[st.floats(-3, 3, width=16)] * 3)))
    colours = np.random.default_rng(seed).integers(0, 256, (len(vertices), 3)).astype(np.uint8)
    return Shape((vertices @ pose.T * draw(st.sampled_from([0.5, 1.0])) + offset) * size, polygons, colours)


def check(data: bytes, kind: str, shape: Shape, *, is_coloured: bool = False, digits: float = 1e-6):
    """Assert that a file has the shape's area, volume, bounding box and colours; digits: relative precision."""
    mesh = load_mesh(data, kind, np.eye(4), name=f"a.{kind}")
    found = trimesh.Trimesh(mesh.vertices_mm.astype(float), mesh.faces, process=False)
    expected = shape.trimesh()
    size = np.abs(shape.vertices).max()
    assert mesh.bounds_mm == pytest.approx(expected.bounds, abs=3 * digits * size)
    assert found.area == pytest.approx(expected.area, rel=100 * digits)
    assert found.volume == pytest.approx(expected.volume, rel=200 * digits)
    assert mesh.notes == ()
    if is_coloured:
        distances = np.linalg.norm(mesh.vertices_mm[:, None] - shape.vertices, axis=2)
        assert (distances.min(axis=1) < 10 * digits * size).all()
        assert (mesh.colours == shape.colours[distances.argmin(axis=1)]).all()
    else:
        assert mesh.colours is None


def by_trimesh(shape: Shape, kind: str, **options) -> bytes:
    """Return a mesh of triangles as trimesh writes it."""
    mesh = shape.trimesh(shape.colours if kind in ("ply", "obj", "glb") else None)
    written = mesh.export(file_type=kind, **options)
    return written.encode() if isinstance(written, str) else written


TRIMESH = {
    "ply": partial(by_trimesh, kind="ply"),
    "ply text": partial(by_trimesh, kind="ply", encoding="ascii"),
    "obj": partial(by_trimesh, kind="obj"),
    "stl": partial(by_trimesh, kind="stl"),
    "stl text": partial(by_trimesh, kind="stl_ascii"),
    "off": partial(by_trimesh, kind="off"),
    "glb": partial(by_trimesh, kind="glb"),
}


@pytest.mark.parametrize("form", TRIMESH)
@given(shape=shapes())
@EXAMPLES
def test_what_trimesh_writes_comes_back(form, shape):
    """Colours in PLY, OBJ and GLB."""
    kind = form.partition(" ")[0]

    check(TRIMESH[form](shape), kind, shape, is_coloured=kind in ("ply", "obj", "glb"))


@given(shape=shapes(), seed=st.integers(0, 99))
@EXAMPLES
def test_textures_of_trimesh_come_back(shape, seed):
    """The image and its positions in GLB."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(pixels))
    uv = random.random((len(shape.vertices), 2))
    mesh = shape.trimesh()
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    found = load_mesh(mesh.export(file_type="glb"), "glb", np.eye(4), name="a.glb")

    assert (found.texture == pixels).all()
    corners = np.linalg.norm(found.vertices_mm[:, None] - shape.vertices, axis=2).argmin(axis=1)
    assert found.uv == pytest.approx(uv[corners], abs=1e-6)


def surface_of(shape: Shape, *, is_double: bool, is_coloured: bool) -> vtkPolyData:
    """Return a shape, with its polygons, as VTK holds it."""
    surface, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    points.SetData(numpy_to_vtk(shape.vertices.astype(np.float64 if is_double else np.float32), deep=True))
    ends = np.cumsum([0, *map(len, shape.polygons)])
    cells.SetData(*(numpy_to_vtkIdTypeArray(np.int64(x), deep=True) for x in (ends, np.concatenate(shape.polygons))))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    if is_coloured:
        colours = numpy_to_vtk(shape.colours, deep=True)
        colours.SetName("RGB")
        surface.GetPointData().SetScalars(colours)
    return surface


def by_vtk(writer, surface: vtkPolyData) -> bytes:
    """Return what one of VTK's writers writes."""
    with tempfile.TemporaryDirectory() as folder:
        writer.SetInputData(surface)
        writer.SetFileName(str(Path(folder) / "a"))
        writer.Write()
        return next(Path(folder).iterdir()).read_bytes()


def vtk_writer(kind, **options):
    """Return a new writer with some of its settings."""
    writer = kind()
    for name, value in options.items():
        getattr(writer, f"Set{name}")(*([value] if value is not None else []))
    return writer


TEXT, BINARY, APPENDED = 0, 1, 2

VTK: dict[str, Callable] = {
    "ply": partial(vtk_writer, vtkPLYWriter, ArrayName="RGB"),
    "ply text": partial(vtk_writer, vtkPLYWriter, FileType=1, ArrayName="RGB"),
    "ply big-endian": partial(vtk_writer, vtkPLYWriter, DataByteOrder=0, ArrayName="RGB"),
    "stl": partial(vtk_writer, vtkSTLWriter, FileType=2),
    "stl text": partial(vtk_writer, vtkSTLWriter, FileType=1),
    "obj": partial(vtk_writer, vtkOBJWriter),
    "vtk 4.2": partial(vtk_writer, vtkPolyDataWriter, FileVersion=42),
    "vtk 5.1": partial(vtk_writer, vtkPolyDataWriter, FileVersion=51),
    "vtk 4.2 binary": partial(vtk_writer, vtkPolyDataWriter, FileVersion=42, FileType=2),
    "vtk 5.1 binary": partial(vtk_writer, vtkPolyDataWriter, FileVersion=51, FileType=2),
    "vtp text": partial(vtk_writer, vtkXMLPolyDataWriter, DataMode=TEXT),
    "vtp plain": partial(vtk_writer, vtkXMLPolyDataWriter, DataMode=BINARY, CompressorTypeToNone=None),
    "vtp zlib": partial(vtk_writer, vtkXMLPolyDataWriter, DataMode=BINARY, HeaderType=64, ByteOrder=0),
    "vtp appended": partial(vtk_writer, vtkXMLPolyDataWriter, DataMode=APPENDED, BlockSize=512),
    "vtp raw": partial(vtk_writer, vtkXMLPolyDataWriter, DataMode=APPENDED, EncodeAppendedData=0),
    "vtp raw plain": partial(
        vtk_writer,
        vtkXMLPolyDataWriter,
        DataMode=APPENDED,
        EncodeAppendedData=0,
        CompressorTypeToNone=None,
        ByteOrder=0,
    ),
}


@pytest.mark.parametrize("form", VTK)
@given(shape=shapes(), is_double=st.booleans())
@EXAMPLES
def test_what_vtk_writes_comes_back(form, shape, is_double):
    """Polygons, single and double precision, and colours in PLY, VTK and VTP."""
    kind = form.partition(" ")[0]
    is_coloured = kind in ("ply", "vtk", "vtp")
    surface = surface_of(shape, is_double=is_double, is_coloured=is_coloured)
    if kind == "stl":  # its writer takes triangles only
        surface = surface_of(
            Shape(shape.vertices, shape.triangles.tolist(), shape.colours), is_double=True, is_coloured=False
        )

    # text has six digits
    digits = 1e-5 if "text" in form or kind == "obj" or form in ("vtk 4.2", "vtk 5.1") else 1e-6
    check(by_vtk(VTK[form](), surface), kind, shape, is_coloured=is_coloured, digits=digits)


MESHIO = {
    "ply": {"file_format": "ply", "binary": True},
    "ply text": {"file_format": "ply", "binary": False},
    "stl": {"file_format": "stl", "binary": True},
    "stl text": {"file_format": "stl", "binary": False},
    "obj": {"file_format": "obj"},
    "off": {"file_format": "off"},
    "vtk 4.2": {"file_format": "vtk42", "binary": False},
    "vtk 5.1": {"file_format": "vtk51", "binary": False},
    "vtk 4.2 binary": {"file_format": "vtk42", "binary": True},
    "vtk 5.1 binary": {"file_format": "vtk51", "binary": True},
}


@pytest.mark.parametrize("form", MESHIO)
@given(shape=shapes())
@EXAMPLES
def test_what_meshio_writes_comes_back(form, shape):
    """Triangles, and quads in the formats for which it writes them; its VTK files are unstructured grids."""
    kind = form.partition(" ")[0]
    cells = [("triangle", shape.triangles)]
    quads = [p for p in shape.polygons if len(p) == 4]
    if quads and kind in ("vtk", "ply"):
        rest = Shape(shape.vertices, [p for p in shape.polygons if len(p) != 4], shape.colours).triangles
        cells = [("quad", np.array(quads)), *([("triangle", rest)] if len(rest) else [])]
    mesh = meshio.Mesh(shape.vertices, [(name, np.asarray(rows, np.int32)) for name, rows in cells])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        mesh.write(path, **MESHIO[form])
        data = path.read_bytes()

    check(data, kind, shape)


def test_the_checks_can_fail():
    """A moved corner, another winding and other colours are noticed."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    colours = np.random.default_rng(0).integers(0, 256, (len(ball.vertices), 3)).astype(np.uint8)
    shape = Shape(ball.vertices * 50, ball.faces.tolist(), colours)
    data = by_trimesh(shape, "ply")
    check(data, "ply", shape, is_coloured=True)

    moved = shape.vertices * np.where(np.arange(len(colours))[:, None] == 3, 1.01, 1)
    for wrong in (
        Shape(moved, shape.polygons, colours),
        Shape(shape.vertices, shape.triangles[:, ::-1].tolist(), colours),
        Shape(shape.vertices, shape.polygons, colours[::-1]),
    ):
        with pytest.raises(AssertionError):
            check(data, "ply", wrong, is_coloured=True)
    assert io.BytesIO(data).read(3) == b"ply"
