"""Tables as spreadsheets write them."""

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.datasets.csv_table import SEPARATORS, read_rows, read_table, write_rows
from featurelib.errors import DataError

COLUMNS = ("object_id", "x", "y")
IDS = ("Doe, Jane", "O'Neil", 'the "old" one', "a;b|c", "Müller", "=1+1", "- 7", "001")


def table(rows, separator=",", end="\n"):
    """A table as a spreadsheet writes it."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


def rows_of(content, name="t.csv"):
    return [line.row for line in read_table(content, name).lines]


text = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8).map(str.strip)


@given(st.lists(st.lists(text, min_size=2, max_size=2).filter(any), max_size=5))
def test_what_is_written_is_read_again(cells):
    """Whatever text the cells have, except blanks at their ends; lines in a cell end in a line feed."""
    rows = [dict(zip(("a", "b"), row, strict=True)) for row in cells]

    assert rows_of(write_rows(("a", "b"), rows)) == rows


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_separator_is_found(separator, end):
    """From the header; ids may have separators and quotes."""
    rows = [{"object_id": i, "x": "1.5", "y": "-2"} for i in IDS]
    content = table([COLUMNS, *(row.values() for row in rows)], separator, end)

    assert rows_of(content) == rows
    assert read_table(content).separator == separator


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_first_line_may_name_the_separator(first):
    content = f"{first}\nobject_id;x,y\na;1,5\n".encode()

    assert rows_of(content) == [{"object_id": "a", "x,y": "1,5"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("above", ["Heads 2023", '"a title"', "# made by X, Y", "# one\n\n# two, three"])
def test_text_above_the_header_is_skipped(above, end):
    """With a note; a header with # is none."""
    table = read_table(f"{above}\n#id;x;y\na;1,5;2\n".replace("\n", end).replace(";", "\t").encode())

    assert table.columns == ["#id", "x", "y"]
    assert next(table.lines).row == {"#id": "a", "x": "1,5", "y": "2"}
    assert table.notes[0].startswith("not read: the text above the table: ")


def test_a_table_of_one_column_has_nothing_above_it():
    assert read_table(b"id\na\nb\n").columns == ["id"]


def test_rows_and_cells_without_values_are_left_out():
    """Blank lines, rows of separators, and empty cells after the last column."""
    content = b"\n,,,\n object_id , x ,\n\n a , 1 ,,\n,,,\n b ,\n \n"

    assert rows_of(content) == [{"object_id": "a", "x": "1"}, {"object_id": "b", "x": ""}]
    assert [line.place for line in read_table(content, "t.csv").lines] == ["t.csv line 5", "t.csv line 7"]


@pytest.mark.parametrize("header", ["object_id, x, y", "Object ID;X;Y", "OBJECT_ID\tX\tY", "\ufeffobject.id|x|y"])
def test_known_columns_are_found_whatever_their_letters(header):
    """Case, blanks and underscores do not matter."""
    content = header.encode() + b"\n"

    assert read_rows(content, "t.csv", COLUMNS).columns == [*COLUMNS]


def test_decimal_commas_become_points():
    """Only where commas do not separate the columns, and not in other columns."""
    found = read_rows(b"object_id;x;y;note\n1,5;1,5;-2,25;1,5\n", "t.csv", COLUMNS)

    assert [line.row for line in found.lines] == [{"object_id": "1,5", "x": "1.5", "y": "-2.25", "note": "1,5"}]
    assert found.notes == ("read with semicolons between its columns",)
    assert read_rows(table([COLUMNS]), "t.csv", COLUMNS).notes == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b,a\n", "t.csv: column 'a' twice; rename or remove one"),
        (b'a,b\n"1,2\n3,4\n', "t.csv line 3: unexpected end of data; check the quotes"),
        (b'a,"b\n', "t.csv line 1: unexpected end of data; check the quotes"),
        (b'a,"b"c\n', "t.csv line 1: ',' expected after '\"'; check the quotes"),
        (b"a,\xb0\n", "t.csv: byte 2 is not UTF-8; save it as UTF-8"),
    ],
)
def test_a_broken_table_is_named(content, message):
    """No rows are lost in an open quote."""
    with pytest.raises(DataError) as raised:
        rows_of(content)

    assert str(raised.value) == message


def test_known_columns_are_missing_or_twice():
    with pytest.raises(DataError, match=r"t\.csv: no column y; expected object_id,x,y"):
        read_rows(b"object_id,x\n", "t.csv", COLUMNS)
    with pytest.raises(DataError, match=r"t\.csv: column 'object_id' twice"):
        read_rows(b"object_id,Object ID,x,y\n", "t.csv", COLUMNS)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_rows_or_one_error(content):
    """No other exception is raised."""
    with contextlib.suppress(DataError):
        assert all(any(row.values()) for row in rows_of(content))


def test_a_name_that_is_not_text_is_refused():
    """Linux shows bytes of another encoding as surrogates."""
    with pytest.raises(DataError, match="a name is not UTF-8; rename the file"):
        write_rows(("object_id",), [{"object_id": b"M\xfcller".decode("utf-8", "surrogateescape")}])


def test_lines_within_a_cell_are_kept():
    """As a note with several lines, whose lines end in a carriage return."""
    assert rows_of(write_rows(("a", "b"), [{"a": "1", "b": "x\r\ny\rz"}])) == [{"a": "1", "b": "x\ny\nz"}]
