import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import DataError
from featurelib.meshes import load_mesh

TYPES = {"uchar": "u1", "ushort": "u2", "int": "i4", "uint": "u4", "int64": "i8"}

VERTICES = np.array([[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 1], [1, 3, 1]], float)


def _ply(polygons, *, kind="ascii", count_type="uchar", index_type="int", scalar="float", extra=b"") -> bytes:
    """Return a PLY of VERTICES and polygons; `extra` lines are in the header after the faces."""
    header = (
        f"ply\nformat {kind} 1.0\ncomment made by hand\nelement vertex {len(VERTICES)}\nproperty {scalar} x\n"
        f"property {scalar} y\nproperty {scalar} z\nelement face {len(polygons)}\n"
        f"property list {count_type} {index_type} vertex_indices\n"
    ).encode()
    header += extra + b"end_header\n"
    if kind == "ascii":
        rows = [*VERTICES.tolist(), *([len(polygon), *polygon] for polygon in polygons)]
        return header + b"".join(" ".join(f"{value:g}" for value in row).encode() + b"\n" for row in rows)
    order = ">" if "big" in kind else "<"
    body = VERTICES.astype(order + ("f4" if scalar == "float" else "f8")).tobytes()
    for polygon in polygons:
        body += np.array([len(polygon)], order + TYPES[count_type]).tobytes()
        body += np.array(polygon, order + TYPES[index_type]).tobytes()
    return header + body


def _load(data: bytes):
    return load_mesh(data, "ply", np.eye(4), name="a.ply")


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize(("count_type", "index_type"), [("uchar", "int"), ("int", "uint"), ("ushort", "int64")])
@pytest.mark.parametrize("scalar", ["float", "double"])
def test_polygons_of_any_size_become_triangles(kind, count_type, index_type, scalar):
    """Triangles, quads and pentagons are read in every encoding and type; polygons of two points are left out."""
    polygons = [[0, 1, 2], [0, 1, 2, 3], [3, 2], [0, 1, 2, 4, 3]]

    mesh = _load(_ply(polygons, kind=kind, count_type=count_type, index_type=index_type, scalar=scalar))

    expected = [[0, 1, 2], [0, 1, 2], [0, 2, 3], [0, 1, 2], [0, 2, 4], [0, 4, 3]]
    assert mesh.faces.tolist() == expected
    assert (mesh.vertices_mm == VERTICES.astype(np.float32)).all()
    assert mesh.notes == ("left out 1 of 4 faces, with fewer than three corners",)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=6), min_size=1, max_size=6))
def test_text_and_binary_give_the_same_mesh(polygons):
    """All three encodings of any polygons give the same mesh or the same error."""
    ends = []
    for kind in ("ascii", "binary_little_endian", "binary_big_endian"):
        try:
            mesh = _load(_ply(polygons, kind=kind))
            ends.append((mesh.faces.tolist(), mesh.vertices_mm.tolist()))
        except DataError as error:
            ends.append(str(error))

    assert ends[0] == ends[1] == ends[2]


def test_colours_of_faces_become_colours_of_their_vertices():
    """The colour of a vertex is the mean of its faces."""
    header = (
        b"ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
        b"element face 2\nproperty list uchar int vertex_index\nproperty uchar red\nproperty uchar green\n"
        b"property uchar blue\nend_header\n"
    )
    mesh = _load(header + b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2 200 0 10\n3 0 2 3 100 0 20\n")

    assert mesh.colours.tolist() == [[150, 0, 15], [200, 0, 10], [150, 0, 15], [100, 0, 20]]


def test_other_elements_are_skipped():
    """Other lists and numbers after the mesh are skipped, and checked for their length."""
    data = _ply([[0, 1, 2]], extra=b"element edge 2\nproperty list uchar int things\nproperty float weight\n")

    assert _load(data + b"2 7 8 0.5\n1 9 0.25\n").faces.tolist() == [[0, 1, 2]]
    with pytest.raises(DataError, match=r"'edge'.*cut off"):
        _load(data + b"2 7 8 0.5\n1 9\n")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            b"element face 2",
            b"element face 20000000",
            "20,000,000 faces; expected at most 10,000,000 (simplify the mesh)",
        ),
        (b"vertex 5", b"vertex 31000000", "31,000,000 vertices; expected at most 30,000,000 (simplify the mesh)"),
        (b"vertex 5", b"vertex -5", "-5 vertices; expected a positive number (the file is damaged)"),
        (
            b"vertex 5",
            b"vertex 50",
            "86 bytes for 50 elements 'vertex'; expected at least 600 (the file is cut off or damaged)",
        ),
        (b"face 2", b"face 0", "no faces; a point cloud cannot be rendered (reconstruct its surface)"),
        (b"face 2", b"face 1", "13 bytes more than its header announces (the file is damaged)"),
        (
            b"element face 2\nproperty list uchar int vertex_indices",
            b"element edge 2\nproperty list uchar int ends",
            "no faces, but elements 2 'edge'; expected an element 'face' with a list vertex_indices",
        ),
        (
            b"list uchar",
            b"list float",
            "list 'vertex_indices' has a count of type float; expected an integer type such as uchar",
        ),
        (
            b"list uchar",
            b"list quark",
            "property 'list quark int vertex_indices'; expected a type such as float and a name",
        ),
        (b"float x", b"quark x", "property 'quark x'; expected a type such as float and a name"),
        (b"float x", b"float w", "vertices have w, y, z; expected the properties x, y and z"),
        (b"vertex_indices", b"corners", "faces have corners; expected a list named vertex_indices"),
        (b"comment", b"remark", "header line 'remark made by hand'; expected format, element, property or comment"),
        (
            b"vertex 5",
            b"vertex five",
            "header line 'element vertex five'; expected format, element, property or comment",
        ),
        (b"end_header", b"end_haeder", "no end_header in its first 65,536 bytes (the file is cut off or damaged)"),
    ],
)
def test_an_inconsistent_header_is_rejected(old, new, reason):
    """The message has the wrong value and what was expected."""
    data = _ply([[0, 1, 2], [0, 2, 3]], kind="binary_little_endian")

    with pytest.raises(DataError) as error:
        _load(data.replace(old, new, 1))

    assert str(error.value) == f"a.ply: {reason}"


def test_names_that_cannot_be_printed_never_reach_the_message():
    """A name with control characters or a thousand letters is a damaged line, except in a comment."""
    for name in (b"vert\x00\x85x", b"v" * 1000):
        with pytest.raises(DataError, match=r"\Aa.ply: header line '") as error:
            _load(_ply([[0, 1, 2]]).replace(b"vertex_indices", name))
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 200

    assert len(_load(_ply([[0, 1, 2]]).replace(b"by hand", "by H\xe4nsel \x00".encode())).faces) == 1


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize(("index", "named"), [(5, "5"), (-1, "-1"), (2_000_000_000, "2000000000")])
def test_a_face_with_a_missing_vertex_is_rejected(kind, index, named):
    """The index is too large or negative, in a triangle or a polygon."""
    for polygon in ([0, 1, index], [0, 1, 2, index]):
        with pytest.raises(DataError, match=rf"\Aa.ply: a face refers to vertex {named} of 5, counted from 0"):
            _load(_ply([[0, 1, 2], polygon], kind=kind))


def test_a_list_that_is_longer_than_the_file_is_rejected():
    """The list is the first one, which determines the layout, or a later one."""
    data = _ply([[0, 1, 2], [0, 2, 3]], kind="binary_little_endian", count_type="uint")
    for row in (-32, -16):
        corrupted = bytearray(data)
        corrupted[len(data) + row : len(data) + row + 4] = b"\xff\xff\xff\x7f"
        with pytest.raises(DataError, match=r"32 bytes for 2 elements 'face'; expected at least 8,589,934,\d+"):
            _load(bytes(corrupted))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"3 0 1 2.5", "a face's corner is 2.5; expected an integer"),
        (b"3 0 1 nan", "a face's corner is nan; expected an integer"),
        (b"3 0 1 1e30", r"a face's corner is 1e\+30; expected an integer"),
        (b"3 0 1 two", "'two'; expected a number"),
        (b"nan 0 1 2", "list 'vertex_indices' has nan values; expected an integer"),
        (b"2.5 0 1 2", "list 'vertex_indices' has 2.5 values; expected an integer"),
        (b"-3 0 1 2", "list 'vertex_indices' has -3 values; expected an integer"),
        (b"3 0 1", r"cut off"),
        (b"3 0 1 2 3", "1 numbers more than its header announces"),
    ],
)
def test_wrong_numbers_in_text_are_rejected(row, reason):
    """The number is an index, a count, missing or too many."""
    with pytest.raises(DataError, match=rf"\Aa.ply: .*{reason}"):
        _load(_ply([[0, 1, 2]]).replace(b"3 0 1 2\n", row + b"\n"))


def _strip_ply(strips: list[int], index_type: str = "int", kind: str = "binary_little_endian") -> bytes:
    """Return a PLY of VERTICES and one list of triangle strips."""
    data = _ply([strips], kind=kind, count_type="int", index_type=index_type)
    return data.replace(b"element face", b"element tristrips")


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_triangle_strips_alternate_their_winding(kind):
    """Every second triangle is reversed, -1 begins a strip, and triangles with a repeated corner are omitted."""
    mesh = _load(_strip_ply([0, 1, 2, 3, -1, 1, 2, 4, 4, 3, 0], kind=kind))

    assert mesh.faces.tolist() == [[0, 1, 2], [2, 1, 3], [1, 2, 4], [3, 4, 0]]
    assert mesh.notes == ()


def test_a_strip_in_an_unsigned_type_restarts_at_its_highest_number():
    """-1 as uint is 4,294,967,295."""
    mesh = _load(_strip_ply([0, 1, 2, 2**32 - 1, 2, 3, 4], index_type="uint"))

    assert mesh.faces.tolist() == [[0, 1, 2], [2, 3, 4]]


def test_damaged_strips_are_rejected():
    """They have no triangle, or refer to a missing vertex."""
    with pytest.raises(DataError, match="its triangle strips have no triangle"):
        _load(_strip_ply([0, 1, -1, 2, 3, -1]))
    with pytest.raises(DataError, match="a face refers to vertex 9 of 5"):
        _load(_strip_ply([0, 1, 9]))


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("first_byte", [b"\n", b"\r", b" ", b"x"])
def test_lines_of_a_header_end_with_any_line_end(kind, first_byte):
    """CR, LF and CRLF; the body begins behind one line end, whatever its first byte is."""
    header, end, body = _ply([[0, 1, 2]], kind=kind).partition(b"end_header\n")
    if kind != "ascii":
        body = first_byte + body[1:]  # the lowest byte of the first vertex's x
    meshes = [_load((header + end).replace(b"\n", line_end) + body) for line_end in (b"\r", b"\n", b"\r\n")]

    assert meshes[0].faces.tolist() == [[0, 1, 2]]
    assert all((mesh.vertices_mm == meshes[0].vertices_mm).all() for mesh in meshes)


@pytest.mark.parametrize("rest", [b"\n", b"\r\n\0\0", b" " * 50, b"\0" * 500])
def test_padding_after_the_body_is_ignored(rest):
    """White space and zeros mean nothing."""
    for kind in ("ascii", "binary_little_endian"):
        mesh = _load(_ply([[0, 1, 2]], kind=kind) + rest)
        assert (len(mesh.faces), mesh.notes) == (1, ())


@pytest.mark.parametrize("rest", [b"\xfe\x01\x02\x03", b"written by Scan 3.1, 2024-05-01\n\0"])
def test_other_bytes_after_the_body_are_left_out_with_a_note(rest):
    """They are too few for a row, or text. A whole row more means that a count is wrong."""
    data = _ply([[0, 1, 2]], kind="binary_little_endian")

    assert _load(data + rest).notes == (f"left out {len(rest)} bytes after the last element",)
    with pytest.raises(DataError, match="13 bytes more than its header announces"):
        _load(data + b"\3" + np.array([0, 2, 3], "<i4").tobytes())


@pytest.mark.parametrize("names", ["red green blue", "diffuse_red diffuse_green diffuse_blue", "r g b"])
@pytest.mark.parametrize(("scalar", "values"), [("uchar", "255 51 0"), ("float", "1 0.2 0"), ("float", "255 51 0")])
def test_colours_have_several_names_and_types(names, scalar, values):
    """Integers up to 255, and floats up to 1 or 255."""
    properties = "".join(f"property {scalar} {name}\n" for name in names.split())
    header = (
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        f"{properties}element face 1\nproperty list uchar int vertex_index\nend_header\n"
    )
    mesh = _load((header + f"0 0 0 {values}\n1 0 0 {values}\n0 1 0 0 0 0\n3 0 1 2\n").encode())

    assert mesh.colours.tolist() == [[255, 51, 0], [255, 51, 0], [0, 0, 0]]


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize(("scalar", "factor"), [("uchar", 1), ("ushort", 257), ("uint", 1)])
def test_text_and_binary_scale_colours_alike(kind, scalar, factor):
    """The type in the header is the scale, however dark the colours are."""
    for colours in ([[255, 51, 0], [9, 8, 7], [0, 0, 0]], [[1, 0, 0], [0, 0, 0], [4, 0, 0]]):
        header = f"ply\nformat {kind} 1.0\nelement vertex 3\n" + "".join(f"property float {a}\n" for a in "xyz")
        header += "".join(f"property {scalar} {name}\n" for name in ("red", "green", "blue"))
        header += "element face 1\nproperty list uchar int vertex_index\nend_header\n"
        written = np.array(colours) * factor
        if kind == "ascii":
            rows = [
                f"{' '.join(map(str, p))} {' '.join(map(str, c))}\n" for p, c in zip(np.eye(3), written, strict=True)
            ]
            body = ("".join(rows) + "3 0 1 2\n").encode()
        else:
            rows = np.zeros(3, [("p", "<f4", 3), ("c", "<" + TYPES[scalar], 3)])
            rows["p"], rows["c"] = np.eye(3), written
            body = rows.tobytes() + b"\3" + np.arange(3, dtype="<i4").tobytes()
        assert _load(header.encode() + body).colours.tolist() == colours


@pytest.mark.parametrize("old", [b"vertex_indices", b" x\n", b" z\n", b"end_header\n", b"end_header\n0 0 0\n"])
def test_names_and_remarks_as_some_programs_write_them(old):
    """Names in upper case, vertex_indexes, and remarks in the body of a text."""
    new = {b"vertex_indices": b"vertex_indexes", b" x\n": b" X\n", b" z\n": b" Z\n"}
    data = _ply([[0, 1, 2], [1, 2, 3]])

    mesh = _load(data.replace(old, new.get(old, old + b"comment the vertices\nobj_info 1 2 3\n")))

    assert mesh.faces.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert (mesh.vertices_mm == VERTICES[:4].astype(np.float32)).all()


def test_faces_in_an_element_of_another_name_are_read_with_a_note():
    """The list of vertices shows that its rows are faces."""
    mesh = _load(_ply([[0, 1, 2]]).replace(b"element face", b"element polygon"))

    assert mesh.faces.tolist() == [[0, 1, 2]]
    assert mesh.notes == ("faces are read from the element 'polygon'",)


def test_a_second_element_with_faces_is_left_out_with_a_note():
    """The element `face` comes first, wherever it is; strips without rows are nothing."""
    strips = b"element tristrips 1\nproperty list uchar int vertex_indices\n"
    data = _ply([[0, 1, 2]], extra=strips) + b"3 1 2 3\n"

    assert _load(data).notes == ("left out the element 'tristrips', which also has faces",)
    assert _load(_ply([[0, 1, 2]], extra=strips.replace(b"1", b"0"))).notes == ()


@pytest.mark.parametrize("word", ["-nan(ind)", "nan(snan)", "1.#QNAN", "-1.#IND00", "NaN", "nan(0x8000)", "1.#INF"])
def test_a_nan_in_a_column_that_is_not_used_does_not_matter(word):
    """Normals are not read; the same word as a coordinate is named."""
    header = (
        b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        b"property float nx\nelement face 1\nproperty list uchar int vertex_index\nend_header\n"
    )
    rows = f"0 0 0 {word}\n1 0 0 0\n0 1 0 {word}\n3 0 1 2\n"

    assert _load(header + rows.encode()).notes == ()
    with pytest.raises(DataError, match="vertex 1 is NaN or infinite") as error:
        _load(header + rows.replace("1 0 0", f"1 {word} 0").encode())
    assert word == "NaN" or repr(word) in str(error.value)


def test_bytes_that_are_no_text_are_shown_as_hexadecimal():
    """The message shows them so that they can be recognised."""
    with pytest.raises(DataError, match="begins with the bytes fd 8f 00 01 9c 40 02 e1"):
        _load(bytes.fromhex("fd8f00019c4002e1"))
