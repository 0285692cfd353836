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
        (f"solid\n{FACET}", "ends with 'endfacet' after 1 faces; expected 'endsolid' (the file is cut off)"),
        (
            f"solid\n{FACET}{FACET[:60]}",
            "ends with 'vertex 3 0 0' after 1 faces; expected 'endsolid' (the file is cut off)",
        ),
        (f"solid\n{FACET}{FACET[:60]}\nendsolid", "5 vertices; its 1 faces need 3 (the file is damaged)"),
        (f"solid\n{FACET.replace('3 0', '3 O')}endsolid", "'o'; expected a number (the file is damaged)"),
        ("solid\nendsolid", "no faces; a point cloud cannot be rendered (reconstruct its surface)"),
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
