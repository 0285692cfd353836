import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh

QUAD = "v 0 0 0\nv 3 0 0\nv 3 2 0\nv 0 2 1\nf 1 2 3 4\n"


def _load(text: str, limits: Limits | None = None):
    return load_mesh(text.encode(), "obj", np.eye(4), name="a.obj", limits=limits or Limits())


@pytest.mark.parametrize(
    "text",
    [
        QUAD,
        QUAD.replace("\n", "\r\n"),
        QUAD.replace("\n", "\r"),
        QUAD.replace("f 1 2 3 4", "f 1/1 2/2 3/3 4/4"),
        QUAD.replace("f 1 2 3 4", "f 1//9 2//9 3//9 4//9"),
        QUAD.replace("f 1 2 3 4", "f 1/2/3 2/2/3 3/2/3 4/2/3 # a quad"),
        QUAD.replace("f 1 2 3 4", "f -4 -3 -2 -1\nv 9 9 9"),
        QUAD.replace("f 1 2 3 4", "f 1 2 \\\n 3 4"),
        QUAD.replace("f 1 2 3 4", "fo 1 2 3 4"),
        QUAD.replace("v 0 2 1", "v 0 2 1 1.0").replace("f ", "o thing\ng group\ns off\nusemtl red\n\t f  "),
        QUAD.replace("f 1 2 3 4", "f 1 2 \\ \t\n 3 4").replace("v 3 0 0", "v 3 \\ \n 0 0"),
        "\ufeff# by hand\n" + QUAD,
    ],
)
def test_all_variants_of_obj_are_read(text):
    """Line ends, texture and normal indices, negative indices, continued lines, groups, weights, byte-order mark."""
    mesh = _load(text)

    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.vertices_mm.tolist() == [[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 1]]


def test_negative_indices_count_from_their_line():
    """Two pieces with the face -3 -2 -1 are two triangles."""
    pieces = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 5\nv 1 0 5\nv 0 1 5\nf -3 -2 -1\nf 1 2 -1\n"

    assert _load(pieces).faces.tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 5]]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("f 1 2 3 4", "f 1 2 5", "a face refers to vertex 5 of 4; OBJ counts from 1 (the file is damaged)"),
        ("f 1 2 3 4", "f 0 1 2", "a face refers to vertex 0 of 4; OBJ counts from 1 (the file is damaged)"),
        ("f 1 2 3 4", "f -5 1 2", "a face refers to vertex -5 of 4; OBJ counts from 1 (the file is damaged)"),
        ("f 1 2 3 4", "f 1 2.5 3", "a face's corner is 2.5; expected an integer"),
        ("f 1 2 3 4", "f 1 2 three", "'three'; expected a number (the file is damaged)"),
        ("f 1 2 3 4", "f 1 2", "none of its 1 faces has three corners; expected triangles or polygons"),
        ("f 1 2 3 4", "l 1 2 3 4", "no face (f), only lines of type 'l'; export its surface as triangles"),
        ("f 1 2 3 4", "p 1\np 2", "no face (f), only lines of type 'p'; export its surface as triangles"),
        ("f 1 2 3 4", "", "no faces; a point cloud cannot be rendered (reconstruct its surface)"),
        ("v 3 2 0", "v 3,0 2,5 0", "'3,0' has a decimal comma; export it with decimal points (3.0)"),
        (
            "v 3 2 0",
            "v 3 -1.#IND00 0",
            "vertex 2 is NaN or infinite: (3, nan, 0), written '-1.#IND00'; expected finite numbers (export it again)",
        ),
        (
            "v 3 2 0",
            "v 3 1.#INF 0",
            "vertex 2 is NaN or infinite: (3, inf, 0), written '1.#INF'; expected finite numbers (export it again)",
        ),
        ("v 3 2 0", "v 3 2", "vertex 3 of 4 is '3 2'; expected 3 numbers"),
        ("v 3 2 0", "v 3 2 O", "'O'; expected a number (the file is damaged)"),
        (QUAD, "vn 0 0 1\n", "no line of a vertex (v) or a face (f); expected an OBJ file with geometry"),
    ],
)
def test_a_damaged_obj_is_rejected(old, new, reason):
    """The message has the wrong line or number."""
    with pytest.raises(DataError) as error:
        _load(QUAD.replace(old, new))

    assert str(error.value) == f"a.obj: {reason}"


def test_too_many_faces_are_counted_before_they_are_read():
    """Lines that begin with f are counted before they are parsed, and polygons count as triangles."""
    with pytest.raises(DataError, match=r"\Aa.obj: 12 faces; expected at most 11"):
        _load(QUAD + "f no number\n" * 11, Limits(max_faces=11))
    with pytest.raises(DataError, match=r"\Aa.obj: 12 faces; expected at most 11"):
        _load(QUAD + "f 1 2 3 4\n" * 5, Limits(max_faces=11))


def test_vertex_colours_are_scaled_from_one():
    """A vertex line of MeshLab has six numbers, with colours from 0 to 1."""
    expected = [[255, 0, 0], [0, 128, 0], [0, 0, 51]]
    colours = ["1 0 0", "0 0.5 0", "0 0 0.2"]
    for written in ("{}", "1.0 {}", "{} 1.0"):  # with the weight of the vertex before, and with alpha behind
        lines = [f"v {xyz} {written.format(c)}\n" for xyz, c in zip(("0 0 0", "3 0 0", "0 2 0"), colours, strict=True)]
        assert _load("".join(lines) + "f 1 2 3\n").colours.tolist() == expected


@pytest.mark.parametrize("most", ["1.00001", "1.3"])
def test_colours_that_exceed_one_a_little_are_not_black(most):
    """Arithmetic of exporters is not exact, and light may exceed white."""
    mesh = _load(f"v 0 0 0 {most} 0 0\nv 3 0 0 0 0.5 0\nv 0 2 0 0 0 0.2\nf 1 2 3\n")

    assert mesh.colours.tolist() == [[255, 0, 0], [0, 128, 0], [0, 0, 51]]


def test_what_an_obj_has_only_in_part_is_left_out_with_a_note():
    """Colours of some vertices, and faces of two corners."""
    assert _load(QUAD.replace("v 3 0 0", "v 3 0 0 1 0 0")).notes == (
        "left out the colours of vertices: some have none",
    )
    assert _load(QUAD + "f 1 2\n").notes == ("left out 1 of 2 faces, with fewer than three corners",)


def test_a_face_line_without_corners_is_ignored():
    """It may be the last line, which is cut off, also after corners that count backwards."""
    assert _load(QUAD.replace("f 1 2 3 4", "f -4 -3 -2\nf ")).faces.tolist() == [[0, 1, 2]]
    assert _load(QUAD.replace("f 1 2 3 4", "f \nf -4 -3 -2\nf \\\n")).faces.tolist() == [[0, 1, 2]]


def test_a_comment_ends_where_its_line_ends():
    """Also directly behind a number; the # of 1.#QNAN is none."""
    mesh = _load("# head\n" + QUAD.replace("v 3 0 0", "v 3 0 0# corner").replace("f", "vn 1.#QNAN 0 1 # x\nf"))

    assert mesh.vertices_mm.tolist() == [[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 1]]
