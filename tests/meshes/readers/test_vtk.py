import time

import numpy as np
import pytest
import trimesh

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh

HEADER = "# vtk DataFile Version 4.2\nmade for a test\nASCII\nDATASET POLYDATA\n"
POINTS = "POINTS 5 float\n0 0 0 4 0 0 4 3 0\n0 3 0\n0 0 5\n"
SQUARE = "POLYGONS 1 5\n4 0 1 2 3\n"


def _load(text: str | bytes, **limits):
    data = text.encode() if isinstance(text, str) else text
    return load_mesh(data, "vtk", np.eye(4), name="a.vtk", limits=Limits(**limits))


def _area(mesh) -> float:
    return trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=False).area


@pytest.mark.parametrize(
    "cells",
    [
        SQUARE,
        "POLYGONS 2 8\n3 0 1 2 3 0 2 3\n",
        "TRIANGLE_STRIPS 1 5\n4 0 1 3 2\n",
        "POLYGONS 2 4\nOFFSETS vtktypeint64\n0 4\nCONNECTIVITY vtktypeint64\n0 1 2 3\n",
        "METADATA\nINFORMATION 1\nNAME L2_NORM_RANGE LOCATION vtkDataArray\nDATA 2 0 5\n\n" + SQUARE,
        "FIELD FieldData 2\nSPACE 1 1 string\nLPS\nTimes 2 2 double\n1 2\n3 4\n" + SQUARE,
        SQUARE.replace("\n", "\r\n"),
        SQUARE.replace("POLYGONS", "polygons"),
        "POLYGONS 1 4\n3 0 1 2\nPOLYGONS 1 4\n3 0 2 3\n",
    ],
)
def test_every_form_of_cells_gives_the_same_square(cells):
    """Polygons, strips, both layouts of cells, what stands between the parts of a file, and all line ends."""
    for text in (HEADER + POINTS + cells, (HEADER + POINTS + cells).replace("\r", "").replace("\n", "\r")):
        mesh = _load(text)

        assert _area(mesh) == pytest.approx(12)
        assert len(mesh.vertices_mm) == 4
        assert mesh.normals[:, 2].min() == 1
        assert mesh.notes == ()


def test_concave_polygons_have_their_area():
    """A polygon in the shape of an L, whose fan would cover its notch."""
    corners = [[0, 2], [0, 0], [4, 0], [4, 1], [1, 1], [1, 2]]
    points = "\n".join(f"{x} {y} 0" for x, y in corners)
    for order in (range(6), [3, 4, 5, 0, 1, 2]):
        mesh = _load(HEADER + f"POINTS 6 float\n{points}\nPOLYGONS 1 7\n6 {' '.join(map(str, order))}\n")
        assert _area(mesh) == pytest.approx(5)
        assert mesh.normals[:, 2].min() == 1


def test_an_unstructured_grid_of_a_surface_is_read():
    """Triangles, quads, pixels, polygons and strips; points and lines are left out with a note."""
    cells = [[5, 0, 1, 2], [9, 0, 1, 2, 3], [8, 0, 1, 3, 2], [7, 0, 1, 2, 3], [6, 0, 1, 3, 2], [3, 0, 4], [1, 2]]
    numbers = "\n".join(" ".join(map(str, [len(cell) - 1, *cell[1:]])) for cell in cells)
    types = "\n".join(str(cell[0]) for cell in cells)
    total = sum(map(len, cells))
    text = HEADER.replace("POLYDATA", "UNSTRUCTURED_GRID") + POINTS
    mesh = _load(text + f"CELLS {len(cells)} {total}\n{numbers}\nCELL_TYPES {len(cells)}\n{types}\n")

    assert _area(mesh) == pytest.approx(6 + 4 * 12)
    assert mesh.normals[:, 2].min() == 1
    assert mesh.notes == ("left out 2 cells of points or lines",)
    with pytest.raises(
        DataError, match=r"1 cells of VTK's type 10; expected triangles or polygons \(extract its surface"
    ):
        _load(text + "CELLS 1 5\n4 0 1 2 4\nCELL_TYPES 1\n10\n")


@pytest.mark.parametrize(
    "data",
    [
        "POINT_DATA 5\nCOLOR_SCALARS RGB 3\n{}\n",
        "POINT_DATA 5\nSCALARS skin unsigned_char 3\nLOOKUP_TABLE default\n{}\n",
        "CELL_DATA 1\nSCALARS id int 1\nLOOKUP_TABLE default\n7\nPOINT_DATA 5\nNORMALS n float\n"
        + "0 0 1\n0 0 1\n0 0 1\n0 0 1\n0 0 1\n"
        "FIELD FieldData 2\nweight 1 5 float\n1 2 3 4 5\nrgb 3 5 unsigned_char\n{}\n",
    ],
)
def test_colours_are_bytes_of_points(data):
    """As colour scalars, as scalars or in a field, behind other attributes."""
    colours = np.arange(15).reshape(5, 3) * 17
    values = colours / 255 if "COLOR" in data else colours
    mesh = _load(HEADER + POINTS + SQUARE + data.format("\n".join(" ".join(map(str, row)) for row in values.tolist())))

    assert mesh.colours.tolist() == colours[:4].tolist()


@pytest.mark.parametrize(
    "data", ["SURPRISE\n", "POINT_DATA 5\nSCALARS t magic\n", "POINT_DATA 9\nCOLOR_SCALARS RGB 3\n1"]
)
def test_attributes_that_are_not_read_do_not_stop_the_geometry(data):
    """An unknown attribute behind the geometry only costs the colours."""
    if data.startswith("SURPRISE"):
        with pytest.raises(DataError, match="line 'SURPRISE'; expected points, cells or data"):
            _load(HEADER + POINTS + SQUARE + data)
    else:
        assert _load(HEADER + POINTS + SQUARE + data).colours is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEADER.replace("POLYDATA", "STRUCTURED_POINTS"), "is a VTK file of STRUCTURED_POINTS; expected POLYDATA"),
        ("# vtk DataFile Version 4.2\nx\nASCII\n", "begins with '# vtk DataFile Version 4.2'; expected the four lines"),
        (HEADER + POINTS, "no faces"),
        (HEADER + POINTS[:-9], r"11 numbers where 15 are announced \(the file is cut off or damaged\)"),
        (HEADER + POINTS + "POLYGONS 1 5\n4 0 1 2\n", "4 numbers where 5 are announced"),
        (HEADER + POINTS + "POLYGONS 2 5\n4 0 1 2 3\n", "2 cells do not fit their 5 numbers"),
        (HEADER + POINTS + "POLYGONS 1 5\n4 0 1 2 9\n", "vertex 9 of 5"),
        (HEADER + POINTS + "POLYGONS 1 5\n4 0 1 2 -1\n", "vertex -1 of 5"),
        (HEADER + POINTS + "POLYGONS 1 5\n4 0 1 two 3\n", "'two'; expected a number"),
        (HEADER + POINTS + "POLYGONS x 5\n4 0 1 2 3\n", "count 'x'; expected an integer"),
        (
            HEADER + POINTS + "POLYGONS 3 4\nOFFSETS int\n0 3 2\nCONNECTIVITY int\n0 1 2 3\n",
            "2 cells do not fit their 4",
        ),
        (HEADER + POINTS + "POLYGONS 2 4\nOFFSETS int\n0 4\n0 1 2 3\n", "line '0 1 2 3'; expected CONNECTIVITY"),
        (HEADER + POINTS.replace("float", "quad"), "numbers of the type 'quad'; expected one such as float"),
        (HEADER + "POINTS 900000000 float\n0 0 0", "900,000,000 vertices; expected at most 30,000,000"),
    ],
)
def test_data_that_are_missing_are_named(text, reason):
    """A file that is cut off or damaged is rejected with the wrong number or word."""
    with pytest.raises(DataError, match=rf"\Aa.vtk: .*{reason}"):
        _load(text)


def test_a_binary_file_that_is_cut_off_is_rejected(ellipsoid, exported):
    """Nothing is allocated for announced sizes."""
    header = HEADER.replace("ASCII", "BINARY").encode()
    data = header + b"POINTS 3 float\n" + np.zeros(9, ">f4").tobytes()[:-1]

    with pytest.raises(DataError, match=r"9 numbers take 36 bytes; 35 are left \(the file is cut off\)"):
        _load(data)


def test_the_time_is_proportional_to_the_size():
    """Neither many small arrays nor many blank lines take long."""
    fields = "".join(f"a{k} 1 1 int\n{k}\n" for k in range(2_000))
    started = time.perf_counter()

    assert len(_load(HEADER + POINTS + f"FIELD F 2000\n{fields}" + 200_000 * "\n" + SQUARE).faces) == 2

    assert time.perf_counter() - started < 3
