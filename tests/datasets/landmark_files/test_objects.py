"""The object of a file or a row, by its name."""

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.datasets.landmark_files.objects import KnownObjects, owner_of, stems
from featurelib.errors import DataError

NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


def owner(name, *ids):
    return owner_of(name, KnownObjects.of(ids, {"tragus"}))


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5, unique=True))
def test_the_exact_name_wins(ids):
    """Whatever the other objects are."""
    for object_id in ids:
        assert owner(object_id, *ids)[:2] == (object_id, 0)


@given(st.text(max_size=30), st.lists(st.text(max_size=12), max_size=5))
def test_any_name_has_a_known_object_or_one_error(name, ids):
    with contextlib.suppress(DataError):
        assert owner(name, *ids).object_id in ids


@pytest.mark.parametrize(
    ("name", "ids", "object_id", "is_noted"),
    [
        (NFC, [NFD, "b"], NFD, False),
        (NFD.upper(), [NFC, "b"], NFC, True),
        ("p01", ["P01", "P02"], "P01", True),
        (" P01 ", ["P01", "P010"], "P01", True),
        ("head-10_picked_points", ["head-1", "head-10"], "head-10", True),
        ("head-1_picked_points", ["head-1", "head-1_picked"], "head-1_picked", True),
        ("P01_landmarks", ["P01", "P010"], "P01", True),
        ("P01.F.mrk", ["P01"], "P01", True),
        ("P01 tragus markups", ["P01"], "P01", True),
        ("P01", ["P01_scan", "P02_scan"], "P01_scan", True),
        ("P01_landmarks", ["P01_mesh", "P02_mesh"], "P01_mesh", True),
        ("P01_left", ["P01", "P02"], "P01", True),
    ],
)
def test_other_letters_and_words_of_programs_do_not_matter(name, ids, object_id, is_noted):
    """A name that differs visibly is noted."""
    found = owner(name, *ids)

    assert (found.object_id, found.is_noted) == (object_id, is_noted)


@pytest.mark.parametrize(
    "name", ["P01_T2", "P01-2", "P01 copy", "P01-old", "P01 (1)", "P01_landmarks_T2", "P01.1", "P01_kopie", "P01_eye"]
)
def test_another_object_and_another_state_are_not_taken(name):
    """The message has the name and the object that it resembles."""
    with pytest.raises(DataError, match="if these are points of P01, name them exactly so") as raised:
        owner(name, "P01", "P02")

    assert repr(name) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "ids", "message"),
    [
        ("p01", ["P01", "P01 "], "'p01' may be P01 or P01 ; name the points exactly as their mesh"),
        ("P01", ["P01_scan", "P01_mesh"], "'P01' may be P01_scan or P01_mesh"),
        ("1", ["001", "002"], "no mesh for '1', but for 001: spreadsheets drop the zeros of numbers"),
        ("12.0", ["0012"], "format the column as text and write '0012'"),
        ("P1", ["P10", "P11"], "if these are points of P10 or P11"),
        ("P100", ["P10"], "no mesh for 'P100'; expected <object_id>, as in P10"),
        ("", ["P10"], "no mesh for ''; expected <object_id>, as in P10"),
        ("a" * 300, ["P10"], "expected <object_id>, as in P10"),
        ("left", ["P10"], "expected <object_id>, as in P10"),
    ],
)
def test_a_name_without_one_object_is_refused_with_the_fix(name, ids, message):
    with pytest.raises(DataError) as raised:
        owner(name, *ids)

    assert message in str(raised.value)


def test_the_first_word_stays():
    """An object may be called scan."""
    assert stems("scan_mesh_01") == ["scan_mesh_01"]
    assert stems("scan_mesh") == ["scan_mesh", "scan"]
