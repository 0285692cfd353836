"""Each format gives back what was written, to the last bit."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.datasets.landmark_files.formats import read_points, suffix_of, write_points
from featurelib.datasets.landmark_files.importing import Reading, import_landmarks
from featurelib.errors import DataError

coordinate = st.floats(allow_nan=False, allow_infinity=False)
xyz = st.tuples(coordinate, coordinate, coordinate)
object_id = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[0-9]{1,3})?", fullmatch=True)
dataset = st.dictionaries(object_id, st.tuples(xyz, xyz), min_size=1, max_size=4)
KINDS = ("slicer", "fcsv", "meshlab", "json", "csv")
SPACES = ("LPS", "RAS")


@given(dataset, st.sampled_from(KINDS), st.sampled_from(SPACES), st.sampled_from(SPACES))
def test_export_and_import_change_nothing(pairs, kind, of_file, of_mesh):
    """This holds for all numbers, formats, axes of the file and axes of the mesh."""
    files = write_points(pairs, "tragus", kind, of_file, lambda _: of_mesh)
    imported = import_landmarks(files.items(), pairs, Reading("tragus"), lambda _: of_mesh)

    assert imported.pairs == pairs
    assert imported.faults == ()


@given(dataset, st.sampled_from(("slicer", "fcsv")))
def test_lps_and_ras_are_distinguished(pairs, kind):
    """The same points in both axes differ by the sign of x and y, and are read as the same points."""
    ras = write_points(pairs, "tragus", kind, "RAS")
    for name, content in write_points(pairs, "tragus", kind, "LPS").items():
        (lps_points,), (ras_points,) = read_points(name, content).values(), read_points(name, ras[name]).values()
        turned = tuple((label, (-x, -y, z)) for label, (x, y, z) in lps_points.points)

        assert (lps_points.space, ras_points.space) == ("LPS", "RAS")
        assert ras_points.points == turned
        assert ras_points.in_axes("LPS") == lps_points


def test_slicers_own_files_are_read():
    """In a file of Slicer 5, undefined points are left out and labels are kept."""
    markup = {
        "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/...",
        "markups": [
            {
                "type": "Fiducial",
                "coordinateSystem": "RAS",
                "coordinateUnits": "mm",
                "controlPoints": [
                    {"id": "1", "label": "F-1", "position": [1.5, -2.0, 3.0], "positionStatus": "defined"},
                    {"id": "2", "label": "F-2", "position": [0.0, 0.0, 0.0], "positionStatus": "undefined"},
                ],
            }
        ],
    }
    fcsv = b"# Markups fiducial file version = 4.10\n# CoordinateSystem = 0\n# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\nvtkMRMLMarkupsFiducialNode_0,1.5,-2,3,0,0,0,1,1,1,0,F-1,,vtkMRMLModelNode4\n"  # noqa: E501

    for name, content in (("a.mrk.json", json.dumps(markup).encode()), ("a.fcsv", fcsv)):
        (points,) = read_points(name, content).values()
        assert points.in_axes("LPS").points == (("F-1", (-1.5, 2.0, 3.0)),)


def test_meshlabs_own_files_are_read():
    """A point of the template that was not picked is left out."""
    content = b"""<!DOCTYPE PickedPoints>
<PickedPoints>
 <DocumentData><DateTime date="2026-01-01" time="10:00:00"/><templateName name="ears"/></DocumentData>
 <point y="-2" x="1.5" z="3" active="1" name="left"/>
 <point y="0" x="0" z="0" active="0" name="right"/>
</PickedPoints>"""

    assert read_points("a_picked_points.pp", content)[None].points == (("left", (1.5, -2.0, 3.0)),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mrk.json", b"{", "a.mrk.json: not JSON"),
        ("a.mrk.json", b'{"markups": [{"coordinateSystem": "IJK"}]}', "coordinateSystem IJK; expected LPS or RAS"),
        ("a.json", b'{"markups": 3}', "not a markups file of 3D Slicer"),
        ("a.json", b'{"left": [1, 2], "right": [1, 2, 3]}', "expected {"),
        ("a.json", b"[1]", "expected {"),
        ("a.fcsv", b"# CoordinateSystem = 2\n", "CoordinateSystem = 2; expected LPS or RAS"),
        ("a.fcsv", b"# columns = id,x,y\n1,2,3\n", "no column 'label'"),
        ("a.fcsv", b"1,2,b,3,0,0,0,1,1,1,0,F-1,,\n", "expected three numbers"),
        ("a.pp", b"<PickedPoints>", "not a PickedPoints file of MeshLab"),
        ("a.pp", b'<PickedPoints><point x="1" y="b" z="2"/></PickedPoints>', "not a PickedPoints file"),
        ("a.csv", b"id,left\na,3\n", "no coordinates among its columns id, left"),
        ("a.csv", b"id,x,y,z,label\na,1,2,q,left\n", "line 2: x, y, z are '1', '2', 'q'; expected numbers"),
        ("a.csv", b"\xff\xfe\x00", "not a CSV table in UTF-8"),
        ("a.txt", b"", "not a landmark file"),
    ],
)
def test_a_bad_file_is_named_with_what_was_expected(name, content, message):
    """The error begins with the file's name."""
    with pytest.raises(DataError) as raised:
        read_points(name, content)

    assert str(raised.value).startswith(f"{name}: ")
    assert message in str(raised.value)


@given(st.sampled_from((".mrk.json", ".json", ".fcsv", ".pp", ".csv")), st.binary(max_size=200))
def test_any_bytes_end_in_points_or_one_error(suffix, content):
    """No other exception is raised, whatever the content."""
    with contextlib.suppress(DataError):
        read_points(f"a{suffix}", content)


def test_endings_are_known_whatever_their_case():
    """Upper and lower case make no difference."""
    assert [suffix_of(name) for name in ("a.MRK.JSON", "a.Fcsv", "a.ply")] == [".mrk.json", ".fcsv", None]
