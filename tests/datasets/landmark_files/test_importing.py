"""From landmark files to rows: the object and the sides of the points."""

import pytest

from featurelib.datasets.landmark_files.importing import Reading, import_landmarks
from featurelib.datasets.landmark_files.landmarks import NamedPoints, object_of, pair_of
from featurelib.datasets.landmark_files.tables import Columns

LEFT, RIGHT = (1.0, 2.0, 3.0), (-1.0, 2.5, 3.5)
WANTED = {"a": (LEFT, RIGHT)}


def imported(name: str, text: str, reading: Reading | None = None, object_ids=("a", "b")):
    return import_landmarks([(name, text.encode())], object_ids, reading or Reading("tragus"), lambda _: "LPS")


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("object_id,left_x,left_y,left_z,right_x,right_y,right_z\na,1,2,3,-1,2.5,3.5", Columns()),
        ("file;LX".replace(";", ",") + ",LY,LZ,RX,RY,RZ\nscans/a.stl,1,2,3,-1,2.5,3.5", Columns()),
        ("Subject,x_left,y_left,z_left,x_right,y_right,z_right\na,1,2,3,-1,2.5,3.5", Columns()),
        ("id,TragusL X,TragusL Y,TragusL Z,TragusR X,TragusR Y,TragusR Z\na,1,2,3,-1,2.5,3.5", Columns()),
        ("mesh,label,x,y,z\na.ply,right tragus,-1,2.5,3.5\na.ply,left tragus,1,2,3", Columns()),
        ("head,which,x,y,z\na,l,1,2,3\na,r,-1,2.5,3.5", Columns(object="head", label="which")),
        (
            "nr,p,q,r,s,t,u\na,1,2,3,-1,2.5,3.5",
            Columns(object="nr", left=("p", "q", "r"), right=("s", "t", "u")),
        ),
    ],
)
def test_a_table_may_have_any_columns(table, columns):
    """One row per object or per point, with usual names or with the given names."""
    found = imported("all.csv", f"\ufeff{table}\n", Reading("tragus", columns=columns))

    assert found.pairs == WANTED
    assert found.faults == ()


def test_group_and_split_are_kept():
    table = "object_id,left_x,left_y,left_z,right_x,right_y,right_z,group,split\na,1,2,3,-1,2.5,3.5,smith,test\n"

    assert imported("all.csv", table).extras == {"a": ("smith", "test")}


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (("left", "right"), (None, None)),
        (("tragus_L", "tragus_R"), (None, None)),
        (("LTragus", "RTragus"), (None, None)),
        (("Lt tragus", "Rt tragus"), (None, None)),
        (("F-2", "F-1"), ("F-2", "F-1")),
    ],
)
def test_sides_are_found_by_words_or_by_labels(labels, wanted):
    """Words such as left and L, or the labels of both sides."""
    points = NamedPoints(((labels[0], LEFT), ("nose tip", (0.0, 0.0, 0.0)), (labels[1], RIGHT)))

    assert pair_of(points, "tragus", wanted) == (LEFT, RIGHT)


def test_the_landmarks_name_selects_one_of_several_pairs():
    """The labels of the pair have the landmark's name."""
    other = (9.0, 9.0, 9.0)
    labels = ("left eye", "right eye", "left tragus", "right tragus")
    points = NamedPoints(tuple(zip(labels, (other, other, LEFT, RIGHT), strict=True)))

    assert pair_of(points, "tragus") == (LEFT, RIGHT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"left": [1, 2, 3]}}', "no right point among 'left'; name it with --right"),
        ('{"a": {"left ear": [1, 2, 3], "left eye": [1, 2, 3]}}', "2 points 'left' among 'left ear', 'left eye'"),
        ('{"c": {"left": [1, 2, 3]}}', "no mesh for 'c'; expected <object_id>, as in a, b"),
    ],
)
def test_points_that_are_left_out_are_faults(text, message):
    """A fault names the file, the labels and the fix."""
    (fault,) = imported("all.json", text).faults

    assert fault.message.startswith("all.json: ")
    assert message in fault.message


def test_two_files_of_one_object_are_a_fault():
    """The first file is used."""
    pair = b'{"left": [1, 2, 3], "right": [-1, 2.5, 3.5]}'
    found = import_landmarks([("a.json", pair), ("a_old.json", pair)], ["a"], Reading("tragus"), lambda _: "LPS")

    assert found.pairs == WANTED
    assert found.faults[0].message == "a_old.json: object 'a' also has points in a.json; keep one file"


def test_a_file_belongs_to_the_longest_id_that_its_name_begins_with():
    """MeshLab adds `_picked_points`; `head-1` is not `head-10`."""
    ids = ["head-1", "head-10", "head-1_picked"]

    assert object_of("head-10_picked_points", ids) == "head-10"
    assert object_of("head-1_picked_points", ids) == "head-1_picked"
    assert object_of("head-100", ids) is None


def test_units_are_converted():
    """The scale multiplies all coordinates."""
    found = imported("a.json", '{"left": [4, 0, 0], "right": [0, 0, 8]}', Reading("tragus", scale=0.25))

    assert found.pairs == {"a": ((1.0, 0.0, 0.0), (0.0, 0.0, 2.0))}
