import pytest

from featurelib.datasets.landmark_table import COLUMNS, merge_landmarks, read_landmarks, write_landmarks
from featurelib.errors import DataError

HEADER = ",".join(COLUMNS)
PAIR = ((0.1 + 0.2, 1e-17, 3), (-1, 2, 3))
PAIR_TEXT = "0.30000000000000004,1e-17,3.0,-1.0,2.0,3.0"


def row(object_id: str, *more: str) -> str:
    """A row with the landmarks (1, 2, 3) and (-1, 2, 3)."""
    return ",".join([object_id, "1", "2", "3", "-1", "2", "3", *more])


def content_of(rows: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def test_pairs_are_written_to_the_last_bit():
    """What is written is read again, whatever the digits."""
    content = write_landmarks({"a": PAIR})

    assert content == content_of([HEADER, f"a,{PAIR_TEXT}"])
    assert [*read_landmarks(content, "landmarks.csv").values] == [number for xyz in PAIR for number in xyz]


@pytest.mark.parametrize(
    ("extras", "header", "rest"),
    [
        ({}, HEADER, ""),
        ({"a": ("", "")}, HEADER, ""),
        ({"a": ("kin", "")}, f"{HEADER},group", ",kin"),
        ({"a": ("", "test")}, f"{HEADER},split", ",test"),
        ({"a": ("kin, too", "test")}, f"{HEADER},group,split", ',"kin, too",test'),
    ],
)
def test_group_and_split_are_written_where_there_are_any(extras, header, rest):
    """A column that would be empty is left out."""
    assert write_landmarks({"a": PAIR}, extras) == content_of([header, f"a,{PAIR_TEXT}{rest}"])


def test_a_merge_keeps_the_text_of_other_rows():
    """Rows are replaced or added by object; the others keep their digits and columns, and all are sorted."""
    before = content_of([f"{HEADER},note", row("c", "first"), "b,1.50,2,3,-1,2,3,", row("a", "old")])
    content, num_rows = merge_landmarks(before, "landmarks.csv", {"d": PAIR, "a": PAIR}, {"d": ("kin", "")})

    assert num_rows == 4
    assert content == content_of(
        [
            f"{HEADER},note,group",
            f"a,{PAIR_TEXT},,",
            "b,1.50,2,3,-1,2,3,,",
            f"{row('c', 'first')},",
            f"d,{PAIR_TEXT},,kin",
        ]
    )


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
        read_landmarks(content_of(rows), "landmarks.csv")

    assert str(error.value).startswith(f"landmarks.csv{message}")
    assert "\n" not in str(error.value)


def test_a_table_in_another_encoding_is_refused():
    """The error names the first byte that is not UTF-8."""
    with pytest.raises(DataError, match=rf"landmarks\.csv: byte {len(HEADER) + 2} is not UTF-8"):
        read_landmarks(f"{HEADER}\n{row('Müller')}\n".encode("latin-1"), "landmarks.csv")
