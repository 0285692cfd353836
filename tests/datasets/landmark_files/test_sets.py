"""All points of landmark files, by name: out and in again, and as other programs write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.datasets.coordinates import is_missing
from featurelib.datasets.landmark_files.formats import read_points, write_points
from featurelib.datasets.landmark_files.importing import Imported, import_landmarks
from featurelib.datasets.landmark_files.selection import Reading
from featurelib.geometry import LandmarkSet
from tests.datasets.landmark_files.conftest import LEFT, RIGHT, markups

MIXED = LandmarkSet(
    (("tragus_left", "tragus_right"), ("26", "16")),
    ("nasion", "point, 'most' \"low\""),
    ("fracture",),
    outlines=(("tragus_left", "nasion", "tragus_right"), ("26", "16")),
)
KINDS = ("slicer", "fcsv", "meshlab", "json", "csv", "wide", "tps", "nts", "morphologika")
TELL_ABSENT = ("slicer", "json", "csv")

coordinate = st.floats(-1e6, 1e6)
xyz = st.tuples(coordinate, coordinate, coordinate).filter(lambda xyz: xyz != (0, 0, 0) and not is_missing(xyz))
points = st.lists(st.none() | xyz, min_size=7, max_size=7).filter(lambda points: points[0] is not None)
object_id = st.from_regex(r"[a-z][a-z0-9]{0,6}([ -][0-9]{1,3})?", fullmatch=True)
dataset = st.dictionaries(object_id, points, min_size=1, max_size=4)


def read(files, object_ids, space="LPS", **options) -> Imported:
    contents = [(name, text if isinstance(text, bytes) else text.encode()) for name, text in files.items()]
    return import_landmarks(contents, object_ids, Reading(**options), lambda _: space)


def by_name(found: Imported) -> dict:
    """Positions by object and name, without points that have none."""
    return {
        i: {name: xyz for name, xyz in zip(found.names, points, strict=True) if xyz}
        for i, points in found.landmarks.items()
    }


@given(dataset, st.sampled_from(KINDS), st.sampled_from(("LPS", "RAS")), st.sampled_from(("LPS", "RAS")))
def test_sets_go_out_and_in_without_a_change(objects, kind, of_file, of_mesh):
    """Names and numbers are the same to the last bit, and so is the order where a file names all points."""
    files = write_points(MIXED, objects, kind, of_file, lambda _: of_mesh)
    found = read(files, objects, of_mesh)

    assert found.faults == ()
    assert by_name(found) == {
        i: {name: xyz for name, xyz in zip(MIXED.names, points, strict=True) if xyz} for i, points in objects.items()
    }
    if all(None not in points for points in objects.values()):
        assert found.names == MIXED.names


@pytest.mark.parametrize("kind", TELL_ABSENT)
def test_absent_landmarks_stay_absent(kind):
    objects = {"a": [LEFT, RIGHT, None, None, (1.0, 1.0, 1.0), None, None], "b": [LEFT, *[None] * 6]}
    files = write_points(MIXED, objects, kind, absent={"a": {"26", "fracture"}})
    found = read(files, objects)

    assert found.absent == {"a": {"26", "fracture"}}
    assert by_name(found)["b"] == {"tragus_left": LEFT}


@pytest.mark.parametrize("kind", KINDS)
def test_one_landmark_of_one_object_is_a_set(kind):
    alone = LandmarkSet((), (), ("apex",), "none")
    found = read(write_points(alone, {"a": [LEFT], "b": [RIGHT]}, kind), ("a", "b"))

    assert by_name(found) == {"a": {"apex": LEFT}, "b": {"apex": RIGHT}}


def test_tps_follows_geomorph():
    """`readland.tps(specID = "ID")` skips COMMENT lines, and reads other lines without an equals sign as numbers."""
    text = write_points(MIXED, {"a 1": [LEFT, None, *[RIGHT] * 5]}, "tps")["landmarks.tps"].decode()
    lines = [line for line in text.splitlines() if line and "COMMENT=" not in line]

    assert lines[:3] == ["LM3=7", "1.5 2.0 3.0", "NA NA NA"]
    assert [line for line in lines if "=" in line] == ["LM3=7", "ID=a 1"]
    assert all(len(line.split()) == 3 for line in lines if "=" not in line)


def test_nts_follows_geomorph():
    """`readland.nts` skips lines after a quotation mark, then reads the header, n labels, 3k labels and the numbers.

    Missing values are found by their text in the whole part of a number, so they must not be in another one.
    """
    objects = {"a 1": [LEFT, None, *[RIGHT] * 5], "b": [(-99990.5, 9999.0, 1.0)] * 7}
    text = write_points(MIXED, objects, "nts")["landmarks.nts"].decode()
    lines = [line.split('"')[0].strip() for line in text.splitlines()]
    header, *tokens = [token for line in lines if line for token in ([line] if line.startswith("1 ") else line.split())]
    code = header.split()[4]

    assert header == f"1 2L 21L 1 {code} DIM=3"
    assert tokens[:2] == ["a_1", "b"]
    assert tokens[2:5] == ["tragus_left_x", "tragus_left_y", "tragus_left_z"]
    numbers = tokens[2 + 21 :]
    assert len(numbers) == 2 * 21
    assert [k for k, number in enumerate(numbers) if code in number.partition(".")[0]] == [3, 4, 5]
    complete = write_points(MIXED, {"b": objects["b"]}, "nts")["landmarks.nts"].decode()
    assert "\n1 1L 21L 0 DIM=3\n" in complete


def test_morphologika_follows_geomorph():
    """`read.morphologika` finds each section by its word, and needs a comment before each specimen's points."""
    text = write_points(MIXED, {"a": [LEFT] * 7, "b": [None, *[RIGHT] * 6]}, "morphologika")["landmarks.txt"].decode()
    lines = [line.split('"')[0] for line in text.splitlines()]

    def after(word: str) -> int:
        (place,) = (k for k, line in enumerate(lines) if word in line.lower())
        return place + 1

    assert [lines[after(word)] for word in ("individuals", "landmarks", "dimensions")] == ["2", "7", "3"]
    assert lines[after("names") :][:2] == ["a", "b"]
    assert lines[after("wireframe") : after("rawpoints") - 1] == ["1 5", "5 2", "3 4"]
    raw = lines[after("rawpoints") :][: 2 * 7 + 2]
    assert [k for k, line in enumerate(raw) if "'" in line] == [0, 8]
    assert raw[1] == "1.5 2.0 3.0"
    assert raw[9] == "NA NA NA"


MADE = {
    "plethodon.tps": "LM3=2\n1.5 2 3\nNA NA NA\nID=a\n\nLM3=2\n1 2 3\n-1 2.5 3.5\nID=b\n",
    "readland.nts": '"made by hand\n1 2L 6 1 -999 DIM=3\na\nb\n1.5 2 3 -999 -999 -999\n1 2 3 -1 2.5 3.5\n',
    "labels.nts": "1 2L 6L 1 -999 DIM=3\na b\nX1 Y1 Z1 X2 Y2 Z2\n1.5 2 3 -999 -999 -999\n1 2 3 -1 2.5 3.5\n",
    "apes.txt": "[individuals]\n2\n[landmarks]\n2\n[dimensions]\n3\n[names]\na\nb\n[labels]\nsex\n[labelvalues]\nf\nm\n"
    "[wireframe]\n1 2\n[rawpoints]\n'#1\n1.5 2 3\nNA NA NA\n'#2\n1 2 3\n-1 2.5 3.5\n",
}


@pytest.mark.parametrize("name", MADE)
def test_unnamed_points_are_numbered_in_the_order_of_the_file(name):
    """Files made to the documentation of geomorph."""
    found = read({name: MADE[name]}, ("a", "b"))

    assert found.names == ("1", "2")
    assert found.landmarks == {"a": (LEFT, None), "b": ((1.0, 2.0, 3.0), RIGHT)}


def test_points_of_idav_are_numbered():
    """S000 is the first one; 9999 is a point that was not placed."""
    text = "Version S1.0\n11\n" + "".join(f"S{k:03d} {k} 1 1\n" for k in range(10)) + "S010 9999 9999 9999\n"
    found = read({"a.pts": text}, ("a",))

    assert found.names == tuple(map(str, range(1, 11)))
    assert found.landmarks["a"][9] == (9.0, 1.0, 1.0)


def test_a_table_tells_missing_and_absent_points():
    """In a row per point by its status, and in a row per object by the word in its cells."""
    long = "object_id,landmark,x,y,z,status\nP01,nasion,1.5,2,3,\nP01,26,,,,absent\nP02,26,-1,2.5,3.5,present\n"
    wide = "id,nasion_x,nasion_y,nasion_z,26_x,26_y,26_z\nP01,1.5,2,3,absent,absent,absent\nP02,NA,NA,NA,-1,2.5,3.5\n"
    for text in (long, wide):
        found = read({"all.csv": text}, ("P01", "P02"))

        assert by_name(found) == {"P01": {"nasion": LEFT}, "P02": {"26": RIGHT}}
        assert found.absent == {"P01": {"26"}}
        assert found.faults == ()


def test_a_point_that_cannot_be_read_is_named_and_the_others_come_in():
    found = read({"P01.json": '{"a": [1.5, 2, 3], "b": [1, 2], "c": null}'}, ("P01",))

    assert by_name(found) == {"P01": {"a": LEFT}}
    assert [fault.message for fault in found.faults] == [
        "P01.json: object 'P01': 'b' is '[1, 2]'; expected three numbers"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (markups(("a", LEFT), ("a", RIGHT)), "label 'a' twice; remove or rename one of the points"),
        (markups(("a", LEFT), ("", RIGHT)), "a point without a label among 'a', ''; label it"),
        (markups(("a", None)), "no point has a position; the first: a: has no position; place the point"),
    ],
)
def test_an_object_whose_points_are_not_clear_is_left_out(content, message):
    found = read({"P01.mrk.json": content, "P02.mrk.json": markups(("a", LEFT))}, ("P01", "P02"))

    assert by_name(found) == {"P02": {"a": LEFT}}
    assert message in found.faults[0].message


def test_files_of_one_object_are_joined():
    """Points of several files of a subfolder, or of a file per side, are one object's; different positions are not."""
    left, right = markups(("nasion", LEFT)), markups(("26", RIGHT))
    moved = markups(("nasion", RIGHT))

    assert by_name(read({"P01/a.mrk.json": left, "P01/b.mrk.json": right}, ("P01",))) == {
        "P01": {"nasion": LEFT, "26": RIGHT}
    }
    assert read({"P01/a.mrk.json": left, "P01/b.mrk.json": moved}, ("P01",)).landmarks == {}
    sides = {"P01_left.mrk.json": markups(("eye", LEFT), ("ear", LEFT)), "P01_right.mrk.json": markups(("ear", RIGHT))}
    assert set(by_name(read(sides, ("P01",)))["P01"]) == {"eye left", "ear left", "ear right"}


def test_the_order_is_that_of_the_fullest_object():
    files = {
        "P01.json": json.dumps({"c": LEFT}),
        "P02.json": json.dumps({"a": LEFT, "b": LEFT, "c": LEFT}),
        "P03.json": json.dumps({"d": LEFT, "b": LEFT}),
    }

    assert read(files, ("P01", "P02", "P03")).names == ("a", "b", "c", "d")


def test_names_in_comments_are_only_taken_if_they_fit():
    """A comment of another length, or that is no list of names, is a comment."""
    for comment in ('points: ["a"]', "points: [1, 2]", "points: [", 'points: {"a": 1}', 'points: ["a", " "]', "a, b"):
        text = f"LM3=2\n1 2 3\n-1 2.5 3.5\nID=a\nCOMMENT={comment}\n"

        assert read_points("all.tps", text.encode()).objects[0][1].labels == ["1", "2"]
