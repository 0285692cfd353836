import numpy as np
import pytest

from featurelib.datasets.landmark_table import WIDE, read_landmarks, write_landmarks, write_pairs
from featurelib.datasets.landmark_text import merge_landmarks
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

HEADER = ",".join(WIDE)
PAIR = ((0.1 + 0.2, 1e-17, 3), (-1, 2, 3))
PAIR_TEXT = "0.30000000000000004,1e-17,3.0,-1.0,2.0,3.0"
EARS = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("ear_l", "ear_r"),), midline=("chin",), unpaired=("scar",))


def row(object_id: str, *more: str) -> str:
    """A row with the landmarks (1, 2, 3) and (-1, 2, 3)."""
    return ",".join([object_id, "1", "2", "3", "-1", "2", "3", *more])


def content_of(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def test_a_merge_keeps_the_text_of_other_rows():
    """Rows are replaced or added by object; the others keep their digits and columns, and all are sorted."""
    before = content_of([f"{HEADER},note", row("c", "first"), "b,1.50,2,3,-1,2,3,", row("a", "old")])
    content, object_ids = merge_landmarks(before, "landmarks.csv", EARS, {"d": PAIR, "a": PAIR})

    assert object_ids == ["a", "b", "c", "d"]
    assert content == content_of(
        [f"{HEADER},note", f"a,{PAIR_TEXT},old", "b,1.50,2,3,-1,2,3,", row("c", "first"), f"d,{PAIR_TEXT},"]
    )


def test_a_merge_of_points_replaces_whole_objects():
    """A landmark that the new label of an object lacks has no row; a status is added when it is needed."""
    before = b"object_id,landmark,note,x,y,z\nb,chin,seen,1.50,2,3\na,ear_l,,1,1,1\na,chin,low,2,2,2\n"
    points = np.array([[1, 2, 3], [np.nan] * 3, [4, 5, 6], [np.nan] * 3])
    absent = {"a": [False, False, False, True]}
    content, object_ids = merge_landmarks(
        before, "landmarks.csv", MIXED, {"c": points, "a": points[[1, 1, 2, 3]]}, absent
    )

    assert object_ids == ["a", "b", "c"]
    assert content.decode().splitlines() == [
        "object_id,landmark,note,x,y,z,status",
        "a,chin,low,4.0,5.0,6.0,",
        "a,scar,,,,,absent",
        "b,chin,seen,1.50,2,3,",
        "c,ear_l,,1.0,2.0,3.0,",
        "c,chin,,4.0,5.0,6.0,",
    ]


def test_a_new_file_has_a_row_per_point():
    """For a single pair, too."""
    content, object_ids = merge_landmarks(b"", "landmarks.csv", EARS, {"b": PAIR, "a": PAIR})

    assert object_ids == ["a", "b"]
    assert content == write_landmarks(EARS, {"a": PAIR, "b": PAIR})


@pytest.mark.parametrize("object_id", ["Doe, Jane", 'a "b"', "Mu\u0308ller", "x;y"])
@pytest.mark.parametrize("first", [write_pairs({"Doe": PAIR}), write_landmarks(EARS, {"Doe": PAIR})])
def test_ids_with_separators_and_quotes_are_kept(first, object_id):
    content, _ = merge_landmarks(first, "landmarks.csv", EARS, {object_id: PAIR})
    again, _ = merge_landmarks(content, "landmarks.csv", EARS, {"b": PAIR})

    assert set(read_landmarks(again, "landmarks.csv", EARS).object_ids) == {object_id, "b", "Doe"}


SPREADSHEETS = {
    "semicolons": f"{HEADER};Group\na b;1,5;2;3;-1;2,25;3;family".replace(",", ";").replace("1;5", "1,5"),
    "tabs": f"{HEADER.upper()}\tgroup\na b\t1,5\t2\t3\t-1\t2,25\t3\tfamily".replace("_", " "),
}


@pytest.mark.parametrize("name", SPREADSHEETS)
def test_a_table_of_a_spreadsheet_is_read_with_a_warning_and_written_with_commas(name, caplog):
    """Separators and decimal commas of other countries, and blanks and case of the header."""
    text = SPREADSHEETS[name].replace(",", "\t", 6) if name == "tabs" else SPREADSHEETS[name].replace("2;25", "2,25")
    encoded = text.encode("utf-16") if name == "tabs" else text.encode("utf-8-sig")
    landmarks = read_landmarks(encoded, "landmarks.csv", EARS)

    assert (landmarks.object_ids, landmarks.extras["a b"].group) == (["a b"], "family")
    assert [*landmarks.values] == [1.5, 2, 3, -1, 2.25, 3]
    assert caplog.messages == [f"landmarks.csv: read with {name} between its columns"]
    content, object_ids = merge_landmarks(encoded, "landmarks.csv", EARS, {"c": PAIR})
    assert object_ids == ["a b", "c"]
    assert content == content_of([f"{HEADER},group", "a b,1.5,2,3,-1,2.25,3,family", f"c,{PAIR_TEXT},"])


@pytest.mark.parametrize(("points", "absent"), [([[1, 2, 3], [np.nan] * 3], None), (PAIR, [True, False])])
def test_a_row_per_object_needs_all_positions(points, absent):
    """The fix is the other form."""
    with pytest.raises(DataError, match="one row per object needs all its positions; write object_id,landmark"):
        merge_landmarks(write_pairs({"a": PAIR}), "l", EARS, {"b": points}, {} if absent is None else {"b": absent})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["object_id,landmark,x,y,z", "a,chin,1,2,3", "a,chin,1,2,3"], "line 3: duplicate 'chin' of object 'a'"),
        (["object_id,landmark,x,y,z", "a,chin,1,2,3,4"], "line 2: more values than the header's 5 columns"),
    ],
)
def test_a_bad_table_is_refused(rows, message):
    with pytest.raises(DataError, match=message):
        merge_landmarks(content_of(rows), "landmarks.csv", MIXED, {})
