import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.meshes import load_mesh

FACET = "facet normal 0 0 1\n outer loop\n  vertex 0 0 0\n  vertex 3 0 0\n  vertex 0 2 0\n endloop\nendfacet\n"


def _load(text: str):
    return load_mesh(text.encode(), "stl", np.eye(4), name="a.stl")


def test_several_solids_are_one_mesh():
    """Text with several solids is read in upper and lower case, with any line ends."""
    text = f"solid one\n{FACET}endsolid one\nSOLID two\n{FACET.upper()}ENDSOLID two\n"

    for written in (text, text.replace("\n", "\r\n")):
        mesh = _load(written)
        assert (mesh.vertices_mm[mesh.faces] == [[0, 0, 0], [3, 0, 0], [0, 2, 0]]).all()
        assert mesh.faces.shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"solid\n{FACET}endso", "ends with 'endso' after 1 faces; expected 'endsolid' (the file is cut off)"),
        (
            f"solid\n{FACET}endsolid\nsolid b",
            "ends with 'solid b' after 1 faces; expected 'endsolid' (the file is cut off)",
        ),
        (
            f"solid\n{FACET}{FACET[:60]}",
            "ends with 'vertex 3 0 0' after 1 faces; expected 'endsolid' (the file is cut off)",
        ),
        (f"solid\n{FACET}{FACET[:60]}\nendsolid", "5 vertices; its 1 faces need 3 (the file is damaged)"),
        (f"solid\n{FACET.replace('3 0', '3 O')}endsolid", "'o'; expected a number (the file is damaged)"),
        ("solid\nendsolid\nsolid 2\nendsolid", "no facet in its solids; export the surface again"),
        (
            f"solid\n{FACET.replace('3 0 0', '3,5 0 0')}endsolid",
            "'3,5' has a decimal comma; export it with decimal points (3.5)",
        ),
        ("sol", "3 bytes; a binary STL has at least 84 (the file is cut off)"),
        ("x" * 200, f"begins with '{'x' * 40}...'; expected 'solid', or a binary STL"),
    ],
)
def test_damaged_text_is_rejected(text, reason):
    """The end, a corner, a number or all of the text is missing or wrong."""
    with pytest.raises(DataError) as error:
        _load(text)

    assert str(error.value) == f"a.stl: {reason}"


def test_a_number_of_faces_above_the_limit_is_rejected_by_the_header(ellipsoid, exported):
    """The message has the number of the header and the limit."""
    data = exported(ellipsoid, "stl")

    with pytest.raises(DataError, match=r"\Aa.stl: 20,000,000 faces; expected at most 10,000,000"):
        load_mesh(data[:80] + (20_000_000).to_bytes(4, "little") + data[84:], "stl", np.eye(4), name="a.stl")


@pytest.mark.parametrize(
    "text",
    [
        f"solid a\n{FACET}end solid a\n",
        f"solid a\n{FACET.replace('endfacet', 'end facet').replace('endloop', 'end loop')}endsolid a\n",
        f"solid a\nendsolid a\nsolid\nendsolid\nsolid b\n{FACET}endsolid b\nsolid\n\nendsolid c\n\n",
        f"solid a\n{FACET}endsolid\n".replace("\n", "\r"),
        f"solid a\n{FACET.replace('0 0 1', '-nan(ind) nan 1.#QNAN')}endsolid\n\x1a",
        f"\ufeffsolid endless end facets\n{FACET}ENDSOLID\n\0\0",
    ],
)
def test_variants_of_text_are_read_without_a_note(text):
    """Words apart, empty solids, CR, NaN normals, byte-order mark, and the end mark of DOS."""
    mesh = _load(text)

    assert (mesh.vertices_mm[mesh.faces] == [[[0, 0, 0], [3, 0, 0], [0, 2, 0]]]).all()
    assert mesh.notes == ()


def test_a_text_without_endsolid_has_a_note():
    """All its facets are whole."""
    mesh = _load(f"solid a\n{FACET}{FACET}\n")

    assert len(mesh.faces) == 2
    assert mesh.notes == ("no endsolid line after the last face",)


@pytest.mark.parametrize("name", ["vertex group 1 b", "cut facet vertex 1 2 3", "endfacet", "a\tend facet"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_name_of_a_solid_may_have_any_words(name, end):
    """Those of a facet do not count."""
    text = f"solid {name}\n{FACET}endsolid {name}\nsolid b\n{FACET}endsolid b\n"

    mesh = _load(text.replace("\n", end))

    assert (mesh.vertices_mm[mesh.faces] == [[0, 0, 0], [3, 0, 0], [0, 2, 0]]).all()
    assert len(mesh.faces) == 2
    assert mesh.notes == ()


@pytest.mark.parametrize("header", [b"\xff\xfe solid", b"\xfe\xffsolid", b"\xef\xbb\xbfsolid", b"s\0o\0l"])
@pytest.mark.parametrize("rest", [b"", b"\n"])
def test_a_binary_header_that_begins_like_unicode_is_none(header, rest, ellipsoid, exported):
    """Its 80 bytes are free."""
    data = exported(ellipsoid, "stl")

    mesh = load_mesh(header.ljust(80, b"\0") + data[80:] + rest, "stl", np.eye(4), name="a")

    assert (mesh.vertices_mm == load_mesh(data, "stl", np.eye(4), name="a").vertices_mm).all()


def test_text_after_the_end_is_left_out_with_a_note():
    """Unless it may be the beginning of another solid."""
    assert _load(f"solid\n{FACET}endsolid\n; volume 12 mm3\n").notes == ("left out text after the last endsolid line",)
    with pytest.raises(DataError, match="ends with 'outer loop'"):
        _load(f"solid\n{FACET}endsolid\nfacet normal 0 0 1\nouter loop\n")


@pytest.mark.parametrize("written", ["3.0D0", "3d+00", ".3D1", "+30.E-1"])
def test_exponents_may_be_those_of_fortran(written):
    """D is the letter of double precision."""
    assert _load(f"solid\n{FACET.replace('3 0 0', written + ' 0 0')}endsolid\n").vertices_mm.max() == 3


@pytest.mark.parametrize("count", [0, 2**32 - 1])
def test_a_count_that_was_never_written_comes_from_the_size(count, ellipsoid, exported):
    """0 and 0xFFFFFFFF are placeholders; the note has both numbers."""
    data = exported(ellipsoid, "stl")
    whole = load_mesh(data, "stl", np.eye(4), name="a")

    mesh = load_mesh(data[:80] + count.to_bytes(4, "little") + data[84:], "stl", np.eye(4), name="a")

    assert (mesh.vertices_mm == whole.vertices_mm).all()
    assert mesh.notes == (f"the header announces {count:,} faces, the file has 320",)
    with pytest.raises(DataError, match=r"no faces in its header|cut off|at most"):
        load_mesh(data[:80] + count.to_bytes(4, "little") + data[84:-1], "stl", np.eye(4), name="a")
    padded = data[:80] + count.to_bytes(4, "little") + data[84:] + b"\r\n"
    assert load_mesh(padded, "stl", np.eye(4), name="a").notes == mesh.notes


def test_bytes_after_the_last_face(ellipsoid, exported):
    """Padding is ignored, a few others are left out with a note, and as many as a face takes are an error."""
    data = exported(ellipsoid, "stl")

    assert load_mesh(data + b"\0" * 200, "stl", np.eye(4), name="a").notes == ()
    assert load_mesh(data + b"\n", "stl", np.eye(4), name="a").notes == ()
    assert load_mesh(data + b"abc", "stl", np.eye(4), name="a").notes == ("left out 3 bytes after the last face",)
    with pytest.raises(DataError, match=r"the 320 faces of its header take 16,084 \(the file is damaged\)"):
        load_mesh(data + b"a" * 50, "stl", np.eye(4), name="a")


def test_colours_and_normals_are_not_read(ellipsoid, exported):
    """A header that begins with solid, colours in the attribute and NaN normals change nothing."""
    data = bytearray(exported(ellipsoid, "stl"))
    whole = load_mesh(bytes(data), "stl", np.eye(4), name="a")
    data[:80] = b"solid COLOR=\xff\x80\x40\xff,MATERIAL=".ljust(80, b" ")
    for start in range(84, len(data), 50):
        data[start : start + 12], data[start + 48 : start + 50] = np.full(3, np.nan, "<f4").tobytes(), b"\x1f\x7c"

    mesh = load_mesh(bytes(data), "stl", np.eye(4), name="a")

    assert (mesh.vertices_mm == whole.vertices_mm).all()
    assert (mesh.normals == whole.normals).all()
