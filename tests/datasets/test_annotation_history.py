"""The history of labels: what was replaced, what was saved and from what, and repeats."""

import numpy as np
import pytest

from featurelib.datasets.annotation_history import add_repeat, add_save, history_uri, read_marks
from featurelib.errors import DataError
from featurelib.runtime import storage

ONE, TWO = ("1", "2", "3", ""), ("4", "5", "6", "")
ABSENT, REMOVED = ("", "", "", "absent"), ("", "", "", "")
HEADER = "saved_at,event,object_id,landmark,x,y,z,status,source"


def lines_of(folder):
    """The lines of the history, without their times."""
    lines = storage.read_bytes(history_uri(folder)).decode().splitlines()
    return [line if line == HEADER else line.partition(",")[2] for line in lines]


def test_a_save_has_what_it_replaced_and_what_it_saved(folder):
    """Each landmark has a row of each, with the source of the new one; times are UTC."""
    add_save(folder, "a", {"chin": ONE}, {"chin": TWO, "nose": ABSENT, "ear": REMOVED}, {"chin": "corrected"})
    text = storage.read_bytes(history_uri(folder)).decode()

    assert lines_of(folder) == [
        HEADER,
        "replaced,a,chin,1,2,3,,",
        "saved,a,chin,4,5,6,,corrected",
        "saved,a,nose,,,,absent,",
        "saved,a,ear,,,,,",
    ]
    assert all(line.partition(",")[0].endswith("+00:00") for line in text.splitlines()[1:])


def test_marks_are_read_again(folder):
    """Positions are numbers; absent and removed landmarks have none; another object's rows are left out."""
    add_save(folder, 'a "b", c', {"chin": ("NA", "", "", "")}, {"chin": ONE, "nose": ABSENT}, {"chin": "proposal"})
    add_save(folder, 'a "b", c, d', {}, {"chin": REMOVED}, {})
    add_repeat(folder, 'a "b", c', {"chin": TWO})
    marks = read_marks(folder, 'a "b", c')

    assert [(m.event, m.landmark, m.source, m.is_absent) for m in marks] == [
        ("replaced", "chin", None, False),
        ("saved", "chin", "proposal", False),
        ("saved", "nose", None, True),
        ("repeat", "chin", "marked", False),
    ]
    points = [[np.nan] * 3, [1, 2, 3], [np.nan] * 3, [4, 5, 6]]
    np.testing.assert_array_equal([mark.point for mark in marks], points)
    assert len(read_marks(folder)) == 5


def test_the_same_repeat_is_kept_once(folder):
    """A request that is sent again adds nothing; another position or object does."""
    for cells in (ONE, ONE, TWO, ONE):
        add_repeat(folder, "a", {"chin": cells})
    add_repeat(folder, "b", {"chin": ONE})

    assert lines_of(folder)[1:] == [f"repeat,{row},,marked" for row in ("a,chin,1,2,3", "a,chin,4,5,6", "b,chin,1,2,3")]


def test_rows_of_an_older_form_are_kept_and_not_read(folder):
    """Its header names other columns, so the new rows have a header of their own."""
    old = b"replaced_at,object_id,landmark,x,y,z,status\n2026-01-01,a,chin,1,2,3,"
    storage.write_bytes(history_uri(folder), old)
    for _ in range(2):
        add_save(folder, "a", {}, {"chin": TWO}, {"chin": "marked"})
    content = storage.read_bytes(history_uri(folder))

    assert content.startswith(old + b"\nsaved_at,")
    assert content.count(b"saved_at,") == 1
    assert [mark.source for mark in read_marks(folder)] == ["marked"] * 2


def test_a_history_that_a_spreadsheet_has_saved_is_read(folder):
    """Semicolons and decimal commas are understood, and later rows have a header of their own."""
    add_save(folder, "a", {}, {"chin": ("1.5", "2", "3", "")}, {"chin": "marked"})
    content = storage.read_bytes(history_uri(folder))
    storage.write_bytes(history_uri(folder), content.replace(b",", b";").replace(b"1.5", b"1,5"))
    add_save(folder, "a", {}, {"chin": TWO}, {"chin": "corrected"})

    np.testing.assert_array_equal([mark.point for mark in read_marks(folder, "a")], [[1.5, 2, 3], [4, 5, 6]])


def test_a_bad_row_is_named(folder):
    """The error has the file, the line and the value."""
    add_save(folder, "other", {}, {"chin": ONE}, {})
    add_save(folder, "a", {}, {"chin": ("1", "x", "3", "")}, {})
    with pytest.raises(DataError, match=r"landmarks\.history\.csv line 3: y is 'x'; expected a number"):
        read_marks(folder, "a")

    assert len(read_marks(folder, "other")) == 1


def test_without_a_history_there_are_no_marks(folder):
    assert read_marks(folder) == []
