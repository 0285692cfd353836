"""Each format gives back what was written, to the last bit."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.datasets.coordinates import LARGEST, is_missing
from featurelib.datasets.landmark_files.formats import POINT_SUFFIXES, read_points, suffix_of, write_points
from featurelib.datasets.landmark_files.importing import import_landmarks
from featurelib.datasets.landmark_files.landmarks import NamedPoints
from featurelib.datasets.landmark_files.selection import Reading
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from tests.datasets.landmark_files.conftest import LEFT, RIGHT, fcsv, markups

coordinate = st.floats(-LARGEST, LARGEST)
xyz = st.tuples(coordinate, coordinate, coordinate).filter(lambda xyz: xyz != (0, 0, 0) and not is_missing(xyz))
object_id = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[0-9]{1,3})?", fullmatch=True)
dataset = st.dictionaries(object_id, st.tuples(xyz, xyz), min_size=1, max_size=4)


def points_of(name: str, content: bytes | str) -> dict[str | None, NamedPoints]:
    """The points of a file by object."""
    return dict(read_points(name, content if isinstance(content, bytes) else content.encode()).objects)


TRAGUS = LandmarkSet.single_pair("tragus")
KINDS = ("slicer", "fcsv", "meshlab", "json", "csv")
SPACES = ("LPS", "RAS")


@given(dataset, st.sampled_from(KINDS), st.sampled_from(SPACES), st.sampled_from(SPACES))
def test_export_and_import_change_nothing(pairs, kind, of_file, of_mesh):
    """This holds for all numbers, formats, axes of the file and axes of the mesh."""
    files = write_points(TRAGUS, pairs, kind, of_file, lambda _: of_mesh)
    imported = import_landmarks(files.items(), pairs, Reading("tragus"), lambda _: of_mesh)

    assert imported.landmarks == pairs
    assert imported.faults == ()


@given(dataset, st.sampled_from(("slicer", "fcsv")))
def test_lps_and_ras_are_distinguished(pairs, kind):
    """The same points in both axes differ by the sign of x and y, and are read as the same points."""
    ras = write_points(TRAGUS, pairs, kind, "RAS")
    for name, content in write_points(TRAGUS, pairs, kind, "LPS").items():
        (lps_points,), (ras_points,) = points_of(name, content).values(), points_of(name, ras[name]).values()
        turned = tuple((label, (-x, -y, z)) for label, (x, y, z) in lps_points.points)

        assert (lps_points.space, ras_points.space) == ("LPS", "RAS")
        assert ras_points.points == turned
        assert ras_points.in_axes("LPS") == lps_points


def test_slicers_own_files_are_read():
    """In a file of Slicer 5, undefined points are missing and labels are kept."""
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
        (points,) = points_of(name, content).values()
        assert points.in_axes("LPS").points == (("F-1", (-1.5, 2.0, 3.0)),)


def test_meshlabs_own_files_are_read():
    """A point of the template that was not picked is left out."""
    content = b"""<!DOCTYPE PickedPoints>
<PickedPoints>
 <DocumentData><DateTime date="2026-01-01" time="10:00:00"/><templateName name="ears"/></DocumentData>
 <point y="-2" x="1.5" z="3" active="1" name="left"/>
 <point y="0" x="0" z="0" active="0" name="right"/>
</PickedPoints>"""

    points = points_of("a_picked_points.pp", content)[None]
    assert points.points == (("left", (1.5, -2.0, 3.0)),)
    assert points.missing == (("right", "was not picked; pick the point"),)


@pytest.mark.parametrize(
    ("head", "rows", "space"),
    [
        (
            "# Fiducial List file a.fcsv\n# columns = label,x,y,z,sel,vis\n",
            '"tragus, L",{},1,1\ntragus R,{},1,1\n',
            "RAS",
        ),
        ("# Fiducial List file a.fcsv\n# numPoints = 2\n", '"tragus, L",{},1,1\ntragus R,{},1,1\n', "RAS"),
        ("# Markups fiducial file version = 4.3\n# CoordinateSystem = 0\n", "", "RAS"),
        ("# Markups fiducial file version = 4.10\n# CoordinateSystem = 1\n", "", "LPS"),
        ("# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n", "", "LPS"),
        ("# Markups fiducial file version = 5.2\r\n# CoordinateSystem = RAS\r\n", "", "RAS"),
        ("# columns = x,y,z,label,id\n# CoordinateSystem = LPS\n", '{},"tragus, L",1\n{},tragus R,2\n', "LPS"),
    ],
)
def test_all_versions_of_fcsv_are_read(head, rows, space):
    """The columns are those that the file names; labels may have commas, and rows may have more columns."""
    usual = '1,{},0,0,0,1,1,1,0,"tragus, L","a, b",,2,0\n2,{},0,0,0,1,1,1,0,tragus R,,,2,0\n'
    text = head + (rows or usual).format(*(",".join(map(repr, xyz)) for xyz in (LEFT, RIGHT)))
    points = points_of("a.fcsv", text)[None]

    assert points.space == space
    assert points.points == (("tragus, L", LEFT), ("tragus R", RIGHT))


def as_rows(*points) -> str:
    return "".join(" ".join(map(repr, xyz)) + "\n" for xyz in points)


ROWS = as_rows(LEFT, RIGHT)
UNNAMED = {
    "a.pts": "Version S1.0\n3\nS000 " + ROWS.replace("\n", "\nS001 ", 1) + "C000 9 9 9\n",
    "a.tps": f"LM3=2\n{ROWS}ID=a\nCURVES=1\nPOINTS=1\n9 9 9\nCOMMENT=left, right\n",
    "a_image.tps": f"LM3=2\r\n{ROWS}IMAGE=C:\\scans\\a.ply\r\nID=0\r\nSCALE=1.0\r\n",
    "a_scaled.tps": f"lm3=2\n{as_rows(*([2 * v for v in xyz] for xyz in (LEFT, RIGHT)))}id=a\nscale=0.5\n",
    "a_commas.tps": f"LM3=2\n{ROWS.replace('.', ',')}ID=a\n",
    "a_one.nts": f'"made for a test\n1 2 3 0 DIM=3\n{ROWS}',
    "a_many.nts": f"1 2L 6 1 9999 Dim=3\na\nb\n{ROWS}{as_rows(RIGHT, LEFT)}",
    "a_blanks.dta": f"1 2L 6L 1 9999 DIM=3\na\nb 2 of 3\nx1 y1 z1 x2 y2 z2\n{ROWS}{as_rows(RIGHT, LEFT)}",
    "a.morphologika": f"[individuals]\n1\n[landmarks]\n2\n[dimensions]\n3\n[names]\na\n[rawpoints]\n'#1\n\n{ROWS}",
    "a_text.txt": "[Individuals]\n1\n[landmarks]\n2\n[Dimensions]\n3\n[labels]\nsex\n[labelvalues]\nf\n"
    f"[rawpoints]\n{ROWS}[wireframe]\n1 2\n",
    "a.csv": f"x,y,z\n{ROWS.replace(' ', ',')}",
}


@pytest.mark.parametrize("name", UNNAMED)
def test_unnamed_points_are_numbered(name):
    """Formats of morphometrics have no labels; those of IDAV are S000 and so on."""
    points = next(points for given, points in points_of(name, UNNAMED[name]).items() if given in (None, "a"))

    assert [xyz for _, xyz in points.points] == [LEFT, RIGHT]
    assert points.labels == (["S000", "S001"] if name == "a.pts" else ["1", "2"])
    assert not points.is_named


@pytest.mark.parametrize("name", UNNAMED)
def test_the_sides_of_unnamed_points_are_never_guessed(name):
    """With the flags of the fault they are read."""
    files = [(f"a{suffix_of(name)}", UNNAMED[name].encode())]
    found = import_landmarks(files, ["a"], Reading("tragus"), lambda _: "LPS")
    left, right = ("S000", "S001") if name == "a.pts" else ("1", "2")
    read = import_landmarks(files, ["a"], Reading("tragus", left=left, right=right), lambda _: "LPS")

    assert found.landmarks == {}
    assert "the file does not name its points" in found.faults[-1].message
    assert "--left LABEL --right LABEL" in found.faults[-1].message
    assert read.landmarks == {"a": (LEFT, RIGHT)}


MISSING = {
    "a.pts": "Version S1.0\n2\nS000 1 2 3\nS001 9999 9999 9999\n",
    "a.tps": "LM3=2\n1 2 3\nNA NA NA\nID=a\nSCALE=2\n",
    "a.nts": "1 1L 6 1 -7 DIM=3\na\n1 2 3 -7.0 -7 -7\n",
    "a.txt": "[individuals]\n1\n[landmarks]\n2\n[dimensions]\n3\n[rawpoints]\n1 2 3\n-9999 -9999 -9999\n",
    "a.json": '{"1": [1, 2, 3], "2": [NaN, NaN, NaN]}',
    "a.fcsv": fcsv(("1", (1, 2, 3)), ("2", ("nan", "nan", "nan"))),
    "a.mrk.json": markups(("1", (1, 2, 3)), ("2", None)),
    "a.pp": '<PickedPoints><point name="1" x="1" y="2" z="3"/><point name="2" x="nan" y="nan" z="nan"/></PickedPoints>',
    "a.csv": "label;x;y;z\n1;1;2;3\n2;NA;NA;NA\n",
}


@pytest.mark.parametrize("name", MISSING)
def test_a_point_without_a_position_is_missing_with_its_reason(name):
    """In all formats."""
    (points,) = points_of(name, MISSING[name]).values()

    assert [label for label, _ in points.points] == ["S000" if name == "a.pts" else "1"]
    assert all(math.isfinite(value) for _, xyz in points.points for value in xyz)
    assert "place the point" in points.missing[0][1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mrk.json", "{", "a.mrk.json: not JSON"),
        ("a.mrk.json", '{"markups": [{"coordinateSystem": "IJK"}]}', "coordinateSystem IJK; expected LPS or RAS"),
        ("a.mrk.json", markups(kind="Plane"), "no point list, only Plane"),
        ("a.json", '{"markups": 3}', "not a markups file of 3D Slicer"),
        ("a.json", '{"left": [1, 2, 3], "left": [1, 2, 3]}', "'left' twice"),
        ("a.json", "[1]", "expected {"),
        ("a.json", '{"left": 1}', "expected {"),
        ("a.fcsv", "# CoordinateSystem = 2\n", "CoordinateSystem = 2; expected LPS or RAS"),
        ("a.fcsv", "# columns = id,x,y\n1,2,3\n", "no column label, z; expected id,x,y,z"),
        ("a.pp", "<PickedPoints>", "not a PickedPoints file of MeshLab"),
        ("a.pp", "<points/>", "<points> is not a PickedPoints file"),
        ("a.csv", "id,left\na,3\n", "no coordinates among its columns id, left; name them: --left X Y Z --right X Y Z"),
        ("a.csv", "id x y z\n", "one column, 'id x y z'; separate the columns by commas"),
        ("a.csv", "a,1.5,2.5,3.5\n", "its first row has numbers, a, 1.5, 2.5, 3.5; put the names"),
        ("a.csv", "lx,ly,lz,rx,ry,rz\n1,2,3,4,5,6\n1,2,3,4,5,6\n", "name it with --object-column"),
        ("a.csv", b"\xff\xfe\x00", "byte 2 is not UTF-16"),
        ("a.pts", "1\n0 0 0 255\n", "expected 'Version S1.0'"),
        ("a.pts", "Version S1.0\n2\nS000 1 2 3\n", "1 of 2 points; the file is cut off"),
        ("a.tps", "x", "expected LM3="),
        ("a.tps", "LM3=1\n1 2 3\nLM3=1\n1 2 3\nID=b\n", "specimen 1 of 2 has no name"),
        ("a.nts", "1 2 4 0 DIM=2\n", "expected '1 <specimens>L <coordinates> 0 DIM=3'"),
        ("a.nts", "1 2 6 0 DIM=3\n1 2 3 4 5 6 1 2 3 4 5 6\n", "2 specimens without names"),
        ("a.nts", "1 2 3 0 DIM=3\n1 2 3 4 5\n", "5 values of 6; the file is cut off"),
        ("a.nts", "1 2 3 0 DIM=3\n1 2 3 4 5 6 7\n", "1 values more than its first line announces"),
        ("a.txt", "[rawpoints]\n", "[individuals] is ''; expected a number"),
        (
            "a.txt",
            "[individuals]\n1\n[landmarks]\n2\n[dimensions]\n2\n[rawpoints]\n1 2\n",
            "[dimensions] is 2; expected 3",
        ),
        (
            "a.txt",
            "[individuals]\n1\n[landmarks]\n2\n[dimensions]\n3\n[rawpoints]\n1 2 3\n",
            "[rawpoints] has 1 points; expected 1 times 2",
        ),
        ("a.xyz", "", "not a landmark file"),
    ],
)
def test_a_bad_file_is_named_with_what_was_expected(name, content, message):
    """The error begins with the file's name."""
    with pytest.raises(DataError) as raised:
        points_of(name, content)

    assert str(raised.value).startswith(f"{name}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("LM=1\n1 2\nID=a\n", "2D points; expected LM3="),
        ("LM3=2\n1 2 3\nID=a\n", "1 points of 2; the file is cut off or edited"),
        ("LM3=1\n1 2 3\nID=a\nSCALE=none\n", "SCALE=none; expected a positive number"),
        ("LM3=1\n1 2 3\nID=a\nSCALE=0\n", "SCALE=0; expected a positive number"),
    ],
)
def test_a_bad_specimen_is_left_out_and_the_others_are_read(content, fault):
    found = points_of("all.tps", f"{content}LM3=1\n1 2 3\nID=b\n")

    assert fault in found["a"].fault
    assert found["b"].points == (("1", (1.0, 2.0, 3.0)),)


TOKENS = (
    *"0123456789.,;-\n\t []{}:\"'=",
    "LM3=",
    "ID=",
    "NA",
    "nan",
    "[rawpoints]",
    "[names]",
    "Version S1.0",
    "DIM=3",
    "markups",
)


@given(
    st.sampled_from(POINT_SUFFIXES), st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(TOKENS)).map("".join))
)
def test_any_bytes_end_in_finite_points_or_one_error(suffix, content):
    """No other exception is raised, whatever the content."""
    with contextlib.suppress(DataError):
        for points in points_of(f"a{suffix}", content).values():
            assert all(math.isfinite(value) for _, xyz in points.points for value in xyz)


def test_endings_are_known_whatever_their_case():
    """Upper and lower case make no difference."""
    assert [suffix_of(name) for name in ("a.MRK.JSON", "a.Fcsv", "a.ply")] == [".mrk.json", ".fcsv", None]
