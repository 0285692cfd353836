import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.meshes import load_mesh

QUAD = "OFF\n4 2 0\n0 0 0\n3 0 0\n3 2 0\n0 2 1\n4 0 1 2 3\n3 0 1 2\n"


def _load(text: str):
    return load_mesh(text.encode(), "off", np.eye(4), name="a.off")


@pytest.mark.parametrize(
    "text",
    [
        QUAD,
        QUAD.replace("OFF\n", "OFF "),
        QUAD.replace("OFF\n", "OFF"),
        QUAD.replace("OFF\n", "STOFF"),
        QUAD.replace("OFF\n", "off\n"),
        QUAD.replace("4 2 0\n", "4\n2\n 0 \n"),
        QUAD.replace("OFF\n", "NCOFF\r\n# a\n\n"),
        QUAD.replace("OFF\n", ""),
        QUAD.replace("4 2 0\n", "4 2\n"),
        "# by hand\n" + QUAD.replace("0 0 0\n", "0 0 0 # corner\n\n").replace("\n", "\r\n"),
        QUAD.replace("4 0 1 2 3\n", "4 0 1 2 3 255 0 0\n"),
        QUAD.replace("OFF", "COFF").replace("3 2 0\n", "3 2 0 0.5 0.5 0.5 1\n"),
    ],
)
def test_all_variants_of_off_are_read(text):
    """Counts in the first line, comments, blank lines, colours of vertices and of faces."""
    mesh = _load(text)

    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert mesh.vertices_mm.tolist() == [[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 1]]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("4 2 0", "4 20000000 0", "20,000,000 faces; expected at most 10,000,000 (simplify the mesh)"),
        (
            "4 2 0",
            "4 3 0",
            "6 lines of data; its 4 vertices and 3 faces have 7 (the file is cut off, or has several on a line)",
        ),
        ("4 2 0", "4 0 0", "no faces; a point cloud cannot be rendered (reconstruct its surface)"),
        ("4 2 0", "4 -2 0", "-2 faces; expected a positive number (the file is damaged)"),
        (
            "4 2 0",
            "four 2",
            "begins with 'OFF four 2 0 0 0 3 0 0 3 2 0 0 2 1 4 0 1...'; expected 'OFF' and the numbers of "
            "vertices, faces and edges",
        ),
        ("OFF\n", "4OFF\n", "vertices with a number of dimensions other than three (nOFF, 4OFF); expected three"),
        ("OFF\n", "OFF BINARY\n", "a binary OFF, which is not read; export it as text"),
        ("0 2 1\n", "0 2,5 1\n", "'2,5' has a decimal comma; export it with decimal points (2.5)"),
        ("0 2 1\n", "0 2\n", "vertex 4 of 4 is '0 2'; expected 3 numbers"),
        ("0 2 1\n", "0 2 l\n", "'l'; expected a number (the file is damaged)"),
        ("3 0 1 2\n", "3 0 1", "face 2 of 2 announces 3 corners and has 2 (the file is cut off or damaged)"),
        ("3 0 1 2\n", "3 0 1 4", "a face refers to vertex 4 of 4, counted from 0 (the file is damaged)"),
        ("3 0 1 2\n", "3 0 1 -1", "a face refers to vertex -1 of 4, counted from 0 (the file is damaged)"),
        (
            "3 0 1 2\n",
            "1e9 0 1 2",
            "face 2 of 2 announces 1000000000 corners and has 3 (the file is cut off or damaged)",
        ),
    ],
)
def test_a_damaged_off_is_rejected(old, new, reason):
    """The message has the wrong line or number."""
    with pytest.raises(DataError) as error:
        _load(QUAD.replace(old, new))

    assert str(error.value) == f"a.off: {reason}"


@pytest.mark.parametrize(
    ("letters", "columns"),
    [
        ("C", "{}"),
        ("C", "{} 255"),
        ("NC", "0 0 1 {}"),
        ("CN", "0 0 1 {} 255"),
        ("STNC", "-nan(ind) 0 1 {} 255 0.5 0.5"),
    ],
)
@pytest.mark.parametrize("colour", ["255 51 0", "1.0 0.2 0.0"])
def test_colours_of_vertices_follow_the_normal(letters, columns, colour):
    """The letters before OFF announce them; they have three or four numbers, up to 255 or up to one."""
    if "." in colour:
        columns = columns.replace("{} 255", "{} 1.0")
    colours = (colour, colour, "0.0 0.0 0.0" if "." in colour else "0 0 0")
    points = zip(("0 0 0", "3 0 0", "0 2 0"), colours, strict=True)
    vertices = "".join(f"{point} {columns.format(its_colour)}\n" for point, its_colour in points)

    mesh = _load(f"{letters}OFF\n3 1 0\n{vertices}3 0 1 2\n")

    assert mesh.colours.tolist() == [[255, 51, 0], [255, 51, 0], [0, 0, 0]]
    assert _load(f"OFF\n3 1 0\n{vertices}3 0 1 2\n").colours is None


def test_lines_and_colours_that_are_left_out_have_a_note():
    """Faces of two corners, lines after the announced faces, and colours that some vertices have."""
    assert _load(QUAD.replace("3 0 1 2", "2 0 1")).notes == ("left out 1 of 2 faces, with fewer than three corners",)
    assert _load(QUAD + "3 0 1 2\n").notes == ("left out 1 line after the last face",)
    assert _load(QUAD.replace("OFF", "COFF").replace("3 2 0\n", "3 2 0 9 9 9\n")).notes == (
        "left out the colours of vertices: some have none",
    )
