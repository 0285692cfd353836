import math

import numpy as np
import pytest

from featurelib.datasets.landmark_table import LONG, WIDE, read_landmarks, write_landmarks, write_pairs
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

HEADER = ",".join(WIDE)
PAIR = ((0.1 + 0.2, 1e-17, 3), (-1, 2, 3))
PAIR_TEXT = "0.30000000000000004,1e-17,3.0,-1.0,2.0,3.0"
EARS = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("ear_l", "ear_r"), ("26", "16")), midline=("chin",), unpaired=("M.1, old",))
NAN = math.nan


def row(object_id: str, *more: str) -> str:
    """A row with the landmarks (1, 2, 3) and (-1, 2, 3)."""
    return ",".join([object_id, "1", "2", "3", "-1", "2", "3", *more])


def content_of(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def test_pairs_are_written_to_the_last_bit():
    """What is written is read again, whatever the digits."""
    content = write_pairs({"a": PAIR})

    assert content == content_of([HEADER, f"a,{PAIR_TEXT}"])
    assert [*read_landmarks(content, "landmarks.csv", EARS).values] == [number for xyz in PAIR for number in xyz]


POINTS = {"b": np.arange(18).reshape(6, 3) / 7, "Doe, Jane": np.arange(18).reshape(6, 3) * 1e5 / 3}
POINTS["b"][3] = POINTS["Doe, Jane"][[0, 5]] = np.nan
ABSENT = {"Doe, Jane": [True, False, False, False, False, False]}


def test_points_are_written_to_the_last_bit():
    """A row for each labelled or absent point, in the order of the set; the rest is NaN."""
    content = write_landmarks(MIXED, POINTS, ABSENT)
    found = read_landmarks(content, "landmarks.csv", MIXED)

    assert content.decode().splitlines()[:2] == ["object_id,landmark,x,y,z,status", f"b,ear_l,0.0,{1 / 7},{2 / 7},"]
    assert '"Doe, Jane",ear_l,,,,absent' in content.decode()
    assert len(content.splitlines()) == 1 + 5 + 5
    assert found.object_ids == [*POINTS]
    np.testing.assert_array_equal(np.reshape(found.points_column().to_pylist(), (2, 6, 3)), [*POINTS.values()])
    assert found.absent_column().to_pylist() == [[False] * 6, ABSENT["Doe, Jane"]]


def test_without_absent_landmarks_there_is_no_status():
    """The shortest table is written, with fewer digits if they are asked for."""
    content = write_landmarks(MIXED, {"a": POINTS["b"]}, {"a": np.zeros(6, bool)}, digits=3)

    assert content.splitlines()[:2] == [",".join(LONG).encode(), b"a,ear_l,0,0.143,0.286"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["object_id,left_x,left_y,right_x,right_y", "a,1,2,3,4"], ": no column left_z, right_z; expected object_id,"),
        ([HEADER.replace("object_id", "id"), row("a")], ": no column object_id; expected object_id,left_x"),
        ([], ": no column"),
        ([HEADER], ": no rows; expected one for each labelled object"),
        ([HEADER, row("b"), "a,1,2,three,4,5,6"], " line 3: left_z is 'three'; expected a number"),
        ([HEADER, "", "", "a,,2,3,4,5,6"], " line 4: left_x is ''; expected a number"),
        ([HEADER, "a,1,2,3,4,5"], " line 2: right_z is ''; expected a number"),
        ([HEADER, "a,1,2,3,,,"], " line 2: right_x is ''; expected a number"),
        ([HEADER, "a,1,5,2,5,3,5,4,5"], " line 2: more values than the header's 7 columns"),
        ([HEADER, "a,1,2,3,nan,5,6"], " line 2: right_x is nan; expected a finite number"),
        ([HEADER, "a,1,2,3,4,-inf,6"], " line 2: right_y is -inf; expected a finite number"),
        ([HEADER, row("a"), row("b"), row("a")], " line 4: duplicate object_id 'a'; keep one row"),
        ([HEADER, row("")], " line 2: object_id is empty; expected the mesh file's name"),
        ([f"{HEADER},split", row("a", "training")], " line 2: split 'training'; expected train, val, test or nothing"),
    ],
)
def test_bad_rows_are_named(rows, message):
    """The error names the file, the line, the column and the value."""
    with pytest.raises(DataError) as error:
        read_landmarks(content_of(rows), "landmarks.csv", EARS)

    assert str(error.value).startswith(f"landmarks.csv{message}")
    assert "\n" not in str(error.value)


POINT_HEADER = "object_id,landmark,x,y,z,status"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,ear_left,1,2,3", "landmark 'ear_left' is not in the set of dataset.json; did you mean ear_l?"),
        (
            "a,Zygion,1,2,3",
            "landmark 'Zygion' is not in the set of dataset.json; expected one of ear_l, ear_r, 26,",
        ),
        ("a,,1,2,3", "landmark '' is not in the set of dataset.json; expected one of"),
        ("a,26,1,2,3", "duplicate '26' of object 'a'; keep one row"),
        ("a,26,,,,absent", "duplicate '26' of object 'a'; keep one row"),
        ("a,16,1,2,3", "duplicate '16' of object 'a'; keep one row"),
        ("a,chin,1,2,3,absent", "'chin' is absent, but x is 1; remove the position or the status"),
        ("a,chin,,,0,Absent", "'chin' is absent, but z is 0; remove the position or the status"),
        ("a,chin,,,", "'chin' has no position; remove the row, or set its status to absent"),
        ("a,chin,1,,3", "y is ''; expected a number"),
        ("a,chin,NA,NA,NA", "x is 'NA'; expected a number"),
        ("a,chin,-9999,-9999,-9999", "chin is -9999, a missing value; mark the landmark or remove the row"),
        ("a,chin,1,2,3,gone", "status 'gone'; expected present or absent"),
        (",chin,1,2,3", "object_id is empty; expected the mesh file's name"),
        ("a,chin,1,2,3,,7", "more values than the header's 6 columns"),
    ],
)
def test_bad_points_are_named(line, message):
    """The error names the file, the line and the landmark; with a list of faults, the other rows are read."""
    content = content_of([POINT_HEADER, "a,26,7,8,9,present", "a,16,,,,ABSENT", line, "b,ear_l,1,2,3,"])
    faults = []
    with pytest.raises(DataError) as error:
        read_landmarks(content, "landmarks.csv", MIXED)
    found = read_landmarks(content, "landmarks.csv", MIXED, faults)

    assert str(error.value).startswith(f"landmarks.csv line 4: {message}")
    assert [fault.message for fault in faults] == [str(error.value)]
    assert found.object_ids == ["a", "b"]
    assert found.points_column().to_pylist()[0][6:9] == [7, 8, 9]
    assert found.absent_column().to_pylist() == [[False] * 3 + [True, False, False], [False] * 6]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("object_id,landmark,x,y", ": no column z; expected object_id,landmark,x,y,z"),
        ("object_id,x,y,z", ": no column landmark; expected object_id,landmark,x,y,z"),
        (f"{POINT_HEADER},split", ": column split in a table of one row per point; move it to objects.csv"),
        (POINT_HEADER, ": no rows; expected one for each labelled landmark"),
    ],
)
def test_bad_columns_of_points_are_named(header, message):
    with pytest.raises(DataError) as error:
        read_landmarks(f"{header}\n".encode(), "landmarks.csv", MIXED)

    assert str(error.value) == f"landmarks.csv{message}"


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("NA,NA,NA", "left_x is 'NA'; expected a number"),
        ("-9999,-9999,-9999", "left is -9999, a missing value; mark the landmark or remove the row"),
        ("9999.0,9999,9999", "left is 9999.0, a missing value; mark the landmark or remove the row"),
    ],
)
def test_missing_values_are_no_labels(marker, message):
    """The row is named, and the others come in."""
    content = content_of([HEADER, f"a,{marker},-1,2,3", row("b")])
    with pytest.raises(DataError, match=message):
        read_landmarks(content, "landmarks.csv", EARS)
    faults: list = []

    assert read_landmarks(content, "landmarks.csv", EARS, faults).object_ids == ["b"]
    assert [fault.object_id for fault in faults] == ["a"]


def test_a_table_in_the_encoding_of_windows_is_read_with_a_warning(caplog):
    landmarks = read_landmarks(f"{HEADER}\n{row('Müller')}\n".encode("cp1252"), "landmarks.csv", EARS)

    assert landmarks.object_ids == ["Müller"]
    assert caplog.messages == ["landmarks.csv: read as Windows-1252, not UTF-8: ü"]


def test_points_of_a_spreadsheet_are_read(caplog):
    """With decimal commas, and with the points of a landmark's name."""
    content = 'Object ID;Landmark;X;Y;Z\na;M.1, old;1,5;-2,25;3\na;chin;"1,25";2;3\n'.encode("utf-8-sig")
    found = read_landmarks(content, "landmarks.csv", MIXED)

    assert found.points_column().to_pylist()[0][-6:] == [1.25, 2, 3, 1.5, -2.25, 3]
    assert caplog.messages == ["landmarks.csv: read with semicolons between its columns"]


def test_blank_rows_and_blanks_are_left_out():
    """Rows of commas at the end, and blanks after the commas of the header."""
    content = f"{HEADER.replace(',', ', ')}\n a , 1,2,3,-1,2,3,,\n,,,,,,\n\n,,,,,,\n".encode()

    assert read_landmarks(content, "landmarks.csv", EARS).object_ids == ["a"]
