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
    content, object_ids = merge_landmarks(before, "landmarks.csv", {"d": PAIR, "a": PAIR}, {"d": ("kin", "")})

    assert object_ids == ["a", "b", "c", "d"]
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
        read_landmarks(content, "landmarks.csv")
    faults: list = []

    assert read_landmarks(content, "landmarks.csv", faults).object_ids == ["b"]
    assert [fault.object_id for fault in faults] == ["a"]


def test_a_table_in_the_encoding_of_windows_is_read_with_a_warning(caplog):
    landmarks = read_landmarks(f"{HEADER}\n{row('Müller')}\n".encode("cp1252"), "landmarks.csv")

    assert landmarks.object_ids == ["Müller"]
    assert caplog.messages == ["landmarks.csv: read as Windows-1252, not UTF-8: ü"]


SPREADSHEETS = {
    "semicolons": f"{HEADER};Group\na b;1,5;2;3;-1;2,25;3;family".replace(",", ";").replace("1;5", "1,5"),
    "tabs": f"{HEADER.upper()}\tgroup\na b\t1,5\t2\t3\t-1\t2,25\t3\tfamily".replace("_", " "),
}


@pytest.mark.parametrize("name", SPREADSHEETS)
def test_a_table_of_a_spreadsheet_is_read_with_a_warning_and_written_with_commas(name, caplog):
    """Separators and decimal commas of other countries, and blanks and case of the header."""
    text = SPREADSHEETS[name].replace(",", "\t", 6) if name == "tabs" else SPREADSHEETS[name].replace("2;25", "2,25")
    encoded = text.encode("utf-16") if name == "tabs" else text.encode("utf-8-sig")
    landmarks = read_landmarks(encoded, "landmarks.csv")

    assert (landmarks.object_ids, landmarks.groups) == (["a b"], ["family"])
    assert [*landmarks.values] == [1.5, 2, 3, -1, 2.25, 3]
    assert caplog.messages == [f"landmarks.csv: read with {name} between its columns"]
    content, object_ids = merge_landmarks(encoded, "landmarks.csv", {"c": PAIR}, {})
    assert object_ids == ["a b", "c"]
    assert content == content_of([f"{HEADER},group", "a b,1.5,2,3,-1,2.25,3,family", f"c,{PAIR_TEXT},"])


def test_blank_rows_and_blanks_are_left_out():
    """Rows of commas at the end, and blanks after the commas of the header."""
    content = f"{HEADER.replace(',', ', ')}\n a , 1,2,3,-1,2,3,,\n,,,,,,\n\n,,,,,,\n".encode()

    assert read_landmarks(content, "landmarks.csv").object_ids == ["a"]


@pytest.mark.parametrize("object_id", ["Doe, Jane", 'a "b"', "Mu\u0308ller", "x;y"])
def test_ids_with_separators_and_quotes_are_kept(object_id):
    content, _ = merge_landmarks(write_landmarks({object_id: PAIR}), "landmarks.csv", {"b": PAIR}, {})

    assert set(read_landmarks(content, "landmarks.csv").object_ids) == {object_id, "b"}
