import pytest

from featurelib.datasets.alignment_table import read_rotations, write_rotations
from featurelib.errors import DataError


def test_rotations_are_written_to_the_last_bit():
    """What is written is read again, whatever the digits."""
    rotations = {"a": (0.1 + 0.2, 1e-17, -1.0, 3.0), "b": (1.0, 0.0, 0.0, 0.0)}

    assert write_rotations(rotations).startswith(b"object_id,w,x,y,z\na,0.30000000000000004,1e-17,-1.0,3.0\n")
    assert read_rotations(write_rotations(rotations), "alignment.csv") == rotations


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"object_id,w,x,y\na,1,0,0\n", "no column z; expected object_id,w,x,y,z"),
        (b"object_id,w,x,y,z\na,0,9,0,1,0\n", "line 2: more values than the header's 5 columns"),
        (b"object_id,w,x,y,z\na,1,0,0,b\n", "line 2: z is 'b'; expected a number"),
        (b"object_id,w,x,y,z\na,0,0,0,0\n", "line 2: 0, 0, 0, 0 is no rotation"),
        (b"object_id,w,x,y,z\na,1,0,0,0\na,1,0,0,0\n", "line 3: duplicate object_id 'a'; keep one row"),
    ],
)
def test_a_bad_row_is_named(content, message):
    """The error names the file, the line and the value."""
    with pytest.raises(DataError, match=f"alignment.csv:? {message}"):
        read_rotations(content, "alignment.csv")


@pytest.mark.parametrize("object_id", ["Doe, Jane", 'a "b"', "Mu\u0308ller", "x;y", "001"])
def test_ids_with_separators_and_quotes_are_kept(object_id):
    rotations = {object_id: (1.0, 0.0, 0.0, 0.5)}

    assert read_rotations(write_rotations(rotations), "alignment.csv") == rotations


def test_a_table_of_a_spreadsheet_is_read_with_a_warning(caplog):
    """Semicolons, decimal commas, blank rows, and blanks and case of the header."""
    content = b"\xef\xbb\xbfObject ID; W ;X;Y;Z\na;0,5;0;0;-0,5\n;;;;\n"

    assert read_rotations(content, "alignment.csv") == {"a": (0.5, 0.0, 0.0, -0.5)}
    assert caplog.messages == ["alignment.csv: read with semicolons between its columns"]
