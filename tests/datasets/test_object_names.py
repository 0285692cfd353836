"""Names that every table keeps, and names that tables confuse."""

import csv
import io

import pytest

from featurelib.datasets.object_names import alike, name_fault, shown


@pytest.mark.parametrize(
    "name", ["P01", "Doe, Jane", 'the "old" one', "Mu\u0308ller", "M\u00fcller", "0012", "a b", "頭-1", "O'Neill; 2"]
)
def test_names_that_tables_keep_are_kept(name):
    """A table of the csv module returns the same name."""
    assert name_fault(name) is None
    text = io.StringIO(newline="")
    csv.writer(text).writerow([name, 1])
    assert next(csv.reader(io.StringIO(text.getvalue(), newline="")))[0] == name
    assert shown(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"M\xfcller".decode("utf-8", "surrogateescape"), "not UTF-8"),
        ("P01 ", "a blank"),
        (" P01", "a blank"),
        ("\u00a0P01", "a blank"),
        ("", "a blank"),
        ("P\n01", "control"),
        ("P\x0001", "control"),
        ("P\u202801", "control"),
        ("a/b", "separator"),
        ("a\\b", "separator"),
    ],
)
def test_other_names_have_a_reason_and_the_fix(name, reason):
    """They can be printed on one line in any case."""
    fault = name_fault(name)

    assert fault is not None
    assert reason in fault
    assert fault.endswith("rename it")
    assert len(shown(name).encode().splitlines()) <= 1


def test_bytes_that_are_not_utf_8_are_shown_as_they_are():
    """The bytes help to find the file."""
    assert shown(b"M\xfcller.ply".decode("utf-8", "surrogateescape")) == r"M\xfcller.ply"


def test_names_that_differ_by_case_or_composition_are_alike():
    """Each is named with the first of its kind; the same name twice is no pair."""
    names = ["P01", "p01", "Mu\u0308ller", "M\u00fcller", "Stra\u00dfe", "STRASSE", "P02", "P02", "P20"]

    assert [*alike(names)] == [("P01", "p01"), ("Mu\u0308ller", "M\u00fcller"), ("Stra\u00dfe", "STRASSE")]
