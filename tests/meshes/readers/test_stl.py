import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.meshes import load_mesh

FACET = "facet normal 0 0 1\n outer loop\n  vertex 0 0 0\n  vertex 3 0 0\n  vertex 0 2 0\n endloop\nendfacet\n"


def _load(text: str):
    return load_mesh(text.encode(), "stl", np.eye(4), name="a.stl")


def test_several_solids_are_one_mesh():
    """Text with more than one solid, in any case of letters and with any line ends."""
    text = f"solid one\n{FACET}endsolid one\nSOLID two\n{FACET.upper()}ENDSOLID two\n"

    for written in (text, text.replace("\n", "\r\n")):
        mesh = _load(written)
        assert (mesh.vertices_mm[mesh.faces] == [[0, 0, 0], [3, 0, 0], [0, 2, 0]]).all()
        assert mesh.faces.shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"solid\n{FACET}", "ends with 'endfacet' after 1 faces; expected 'endsolid' (cut off?)"),
        (f"solid\n{FACET}{FACET[:60]}", "ends with 'vertex 3 0 0' after 1 faces; expected 'endsolid' (cut off?)"),
        (f"solid\n{FACET}{FACET[:60]}\nendsolid", "5 vertices; its 1 faces have 3 (damaged)"),
        (f"solid\n{FACET.replace('3 0', '3 O')}endsolid", "'o' where a number was expected"),
        ("solid\nendsolid", "no faces; a point cloud cannot be rendered (make a surface of it)"),
        ("sol", "3 bytes; a binary STL has at least 84 (the file is cut off)"),
        ("x" * 200, f"begins with '{'x' * 40}...'; expected 'solid', or a binary STL"),
    ],
)
def test_damaged_text_is_refused(text, reason):
    """The end is missing, a corner is, a number is none, all is."""
    with pytest.raises(DataError) as refusal:
        _load(text)

    assert str(refusal.value) == f"a.stl: {reason}"


def test_a_count_of_faces_beyond_the_limit_is_refused_by_the_header(ellipsoid, exported):
    """The number in the header and the limit are in the message; nothing is allocated for it."""
    data = exported(ellipsoid, "stl")

    with pytest.raises(DataError, match=r"\Aa.stl: 20,000,000 faces; expected at most 10,000,000"):
        load_mesh(data[:80] + (20_000_000).to_bytes(4, "little") + data[84:], "stl", np.eye(4), name="a.stl")
