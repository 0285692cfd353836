"""Labels saved by row, by many people at the same time."""

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from featurelib.datasets.annotation_history import read_marks
from featurelib.datasets.annotations import NO_ROWS, read_label, read_labels, save_label, sources_of
from featurelib.datasets.dataset import objects_table
from featurelib.errors import ConflictError, DataError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import storage
from featurelib.runtime.storage import Entry

TABLE = """object_id,left_x,left_y,left_z,right_x,right_y,right_z,group,note
a,1,2,3,-1,2,3,family,"first, of all"
b,1.50,2,3,-1,2,3,family,
c,,,,,,,,
"""
PAIR = np.array([[0.1, 0.2, 0.30000000001], [-0.1, 0.2, 1e-7]])
EARS = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("ear_l", "ear_r"),), midline=("chin",), unpaired=("scar",))


def read(uri, object_id, landmarks=EARS):
    return read_label(uri, landmarks, object_id)


def save(uri, object_id, pair, version):
    """Save the label of a pair without absent landmarks."""
    return save_label(uri, EARS, object_id, pair, [False, False], version)


@pytest.fixture
def uri(folder):
    """A dataset's folder with a table, on disk and in an object store."""
    storage.write_bytes(f"{folder}/landmarks.csv", TABLE.encode())
    return folder


def rows_of(uri, name="landmarks.csv"):
    """The rows of a table as text."""
    return list(csv.DictReader(storage.read_bytes(f"{uri}/{name}").decode().splitlines()))


def test_a_saved_label_is_read_again(uri):
    """A label is saved to nine digits, with a new version."""
    before = read(uri, "b")
    saved = save(uri, "b", PAIR, before.version)

    np.testing.assert_allclose(read(uri, "b").points, PAIR, rtol=1e-8)
    assert saved.version == read(uri, "b").version != before.version


def test_other_rows_and_columns_are_kept(uri):
    """Other rows and other columns keep their text."""
    before = rows_of(uri)
    save(uri, "b", PAIR, read(uri, "b").version)
    after = rows_of(uri)

    assert [before[0], before[2]] == [after[0], after[2]]
    assert (after[1]["group"], after[1]["note"]) == ("family", "")


def test_the_history_has_each_replaced_and_each_saved_label(uri):
    """Replaced rows keep their text; of a landmark that a save does not change there is no row."""
    first = save(uri, "b", PAIR, read(uri, "b").version)
    save(uri, "b", [PAIR[0], 2 * PAIR[1]], first.version)
    save(uri, "new", PAIR, NO_ROWS)
    history = rows_of(uri, "landmarks.history.csv")

    assert [(row["event"], row["object_id"], row["landmark"], row["x"]) for row in history] == [
        ("replaced", "b", "ear_left", "1.50"),
        ("replaced", "b", "ear_right", "-1"),
        ("saved", "b", "ear_left", "0.1"),
        ("saved", "b", "ear_right", "-0.1"),
        ("replaced", "b", "ear_right", "-0.1"),
        ("saved", "b", "ear_right", "-0.2"),
        ("saved", "new", "ear_left", "0.1"),
        ("saved", "new", "ear_right", "-0.1"),
    ]
    assert all(row["saved_at"].endswith("+00:00") for row in history)


def test_a_save_without_a_change_leaves_no_trace(uri):
    """Neither the history nor another version."""
    before = read(uri, "b")
    save(uri, "b", before.points, before.version)

    assert not storage.exists(f"{uri}/landmarks.history.csv")


def test_a_dataset_begins_with_its_first_label(folder):
    """Without a landmarks.csv there are no labels; saving the first one writes a table that a dataset can use."""
    assert read_labels(folder, EARS) == {}
    save(folder, "a", PAIR, NO_ROWS)
    table = objects_table([Entry("a.ply", 1, "x")], storage.read_bytes(f"{folder}/landmarks.csv"), EARS).table

    np.testing.assert_allclose(table["landmarks"].to_pylist()[0], PAIR.ravel(), rtol=1e-8)


def test_a_row_without_numbers_is_not_a_label(uri):
    """The row exists, so it has a version, but it has no positions."""
    label = read(uri, "c")

    assert np.isnan(label.points).all()
    assert not label.is_complete
    assert label.version != NO_ROWS


def test_a_label_that_another_has_saved_is_not_replaced(uri):
    """Saving over a row that was changed raises ConflictError, and the newer row is kept."""
    read_by_both = read(uri, "a").version
    save(uri, "a", PAIR, read_by_both)
    with pytest.raises(ConflictError, match="'a': its label was saved by somebody else"):
        save(uri, "a", 3 * PAIR, read_by_both)

    np.testing.assert_allclose(read(uri, "a").points, PAIR, rtol=1e-8)


def test_no_label_is_lost_when_many_save_at_once(folder):
    """Twelve objects saved at once are all saved; of twelve saves of one object's first label, one succeeds."""

    def save_one(object_id, factor):
        try:
            save(folder, object_id, factor * PAIR, NO_ROWS)
        except ConflictError:
            return 0
        return factor

    with ThreadPoolExecutor(12) as pool:
        different = list(pool.map(save_one, [f"o{i}" for i in range(12)], range(1, 13)))
        same = list(pool.map(save_one, ["one"] * 12, range(1, 13)))
    (winner,) = [factor for factor in same if factor]

    assert different == list(range(1, 13))
    np.testing.assert_allclose(read(folder, "o7").points, 8 * PAIR, rtol=1e-8)
    np.testing.assert_allclose(read(folder, "one").points, winner * PAIR, rtol=1e-8)
    assert len(rows_of(folder)) == 2 * 13


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,x\n1,2\n", "no column"),
        (TABLE.encode() + b"d,1,2,3,4,5,6,7,8,9\n", "more values"),
        (TABLE.encode() + b"a,1,2,3,4,5,6\n", "duplicate object_id 'a'; keep one row"),
        (TABLE.encode() + b'b,"' + b"1" * 2**18 + b",2,3,4,5,6\n", "field larger than field limit"),
        (b"\xb0", "UTF-8"),
    ],
)
def test_a_bad_table_is_not_overwritten(tmp_path, content, message):
    """A file that cannot be read is kept."""
    (tmp_path / "landmarks.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        save(str(tmp_path), "a", PAIR, NO_ROWS)

    assert content == (tmp_path / "landmarks.csv").read_bytes()


def test_a_table_with_semicolons_is_saved_with_commas(tmp_path):
    """Decimal commas become points; other rows and columns are kept."""
    (tmp_path / "landmarks.csv").write_text(TABLE.replace(",", ";").replace("1.50", "1,50"))
    before = read(str(tmp_path), "b")
    np.testing.assert_allclose(before.points, [[1.5, 2, 3], [-1, 2, 3]])
    save(str(tmp_path), "a", PAIR, read(str(tmp_path), "a").version)

    after = rows_of(str(tmp_path))
    assert (after[1]["left_x"], after[0]["group"]) == ("1.50", "family")
    assert read(str(tmp_path), "b").version == before.version


@pytest.mark.parametrize("marker", ["-9999", "NA", "9999.0", ""])
def test_markers_of_missing_values_are_no_label(tmp_path, marker):
    (tmp_path / "landmarks.csv").write_text(f"{TABLE}d,1,2,3,{marker},{marker},{marker},,\n")

    label = read(str(tmp_path), "d")
    assert np.isnan(label.points).any(axis=1).tolist() == [False, True]
    assert not label.is_complete


POINTS = np.array([[1.0, 2, 3], [np.nan] * 3, [0.1, 0.2, 1 / 3], [np.nan] * 3])
SCARLESS = [False, False, False, True]
LONG_TABLE = """object_id,landmark,note,x,y,z
b,chin,seen,1.50,2,3
a,ear_l,,1,1,1
"""


@pytest.fixture
def long_uri(folder):
    """A dataset's folder with one row per point, on disk and in an object store."""
    storage.write_bytes(f"{folder}/landmarks.csv", LONG_TABLE.encode())
    return folder


def test_a_saved_set_is_read_again(long_uri):
    """Each landmark is placed, absent or not labelled; other objects and columns keep their text."""
    before = read(long_uri, "b", MIXED)
    saved = save_label(long_uri, MIXED, "b", POINTS, SCARLESS, before.version)
    label = read(long_uri, "b", MIXED)

    assert (before.points[2, 0], before.absent.any(), before.is_complete) == (1.5, False, False)
    np.testing.assert_allclose(label.points, POINTS, rtol=1e-8)
    assert (label.absent.tolist(), label.is_complete) == (SCARLESS, False)
    assert saved.version == label.version != before.version
    assert storage.read_bytes(f"{long_uri}/landmarks.csv").decode().splitlines() == [
        "object_id,landmark,note,x,y,z,status",
        "b,ear_l,,1,2,3,",
        "b,chin,seen,0.1,0.2,0.333333333,",
        "b,scar,,,,,absent",
        "a,ear_l,,1,1,1,",
    ]
    history = rows_of(long_uri, "landmarks.history.csv")
    assert [(row["event"], row["landmark"], row["x"], row["status"]) for row in history] == [
        ("replaced", "chin", "1.50", ""),
        ("saved", "ear_l", "1", ""),
        ("saved", "chin", "0.1", ""),
        ("saved", "scar", "", "absent"),
    ]


def test_landmarks_that_are_not_changed_keep_their_text(long_uri):
    """A save of one landmark does not round another one's position."""
    storage.write_bytes(f"{long_uri}/landmarks.csv", b"object_id,landmark,x,y,z\nb,chin,0.12345678901234567,2,3.0\n")
    label = read(long_uri, "b", MIXED)
    points = label.points.copy()
    points[0] = [1, 2, 3]
    save_label(long_uri, MIXED, "b", points, label.absent, label.version)

    lines = storage.read_bytes(f"{long_uri}/landmarks.csv").decode().splitlines()
    assert lines[1:] == ["b,ear_l,1,2,3", "b,chin,0.12345678901234567,2,3.0"]
    assert [(m.event, m.landmark) for m in read_marks(long_uri)] == [("saved", "ear_l")]


def test_a_label_may_become_empty_again(long_uri):
    """Its rows are removed, and the history keeps them."""
    first = save_label(long_uri, MIXED, "new", POINTS, SCARLESS, NO_ROWS)
    complete = save_label(long_uri, MIXED, "new", np.ones((4, 3)), [False] * 4, first.version)
    last = save_label(long_uri, MIXED, "new", np.full((4, 3), np.nan), [False] * 4, complete.version)
    history = rows_of(long_uri, "landmarks.history.csv")

    assert (complete.is_complete, last.version, last.is_complete) == (True, NO_ROWS, False)
    removed = [(row["landmark"], row["x"], row["status"]) for row in history[-4:]]
    assert removed == [(name, "", "") for name in MIXED.names]
    assert set(read_labels(long_uri, MIXED)) == {"a", "b"}


def test_another_landmark_of_the_object_is_a_conflict(long_uri):
    """The version is that of all of its rows."""
    version = read(long_uri, "a", MIXED).version
    save_label(long_uri, MIXED, "a", POINTS, [False] * 4, version)
    with pytest.raises(ConflictError, match="'a': its label was saved by somebody else"):
        save_label(long_uri, MIXED, "a", POINTS, SCARLESS, version)


def test_a_row_per_object_is_kept_and_refuses_what_it_cannot_say(uri):
    """Neither the table nor the history is changed by the refusal."""
    before = storage.read_bytes(f"{uri}/landmarks.csv")
    for points, absent in ((PAIR, [True, False]), ([[1, 2, 3], [np.nan] * 3], [False, False])):
        with pytest.raises(DataError, match="one row per object needs all its positions"):
            save_label(uri, EARS, "b", points, absent, read(uri, "b").version)

    assert storage.read_bytes(f"{uri}/landmarks.csv") == before
    assert not storage.exists(f"{uri}/landmarks.history.csv")


def test_a_row_per_object_is_removed_if_it_has_nothing_else(uri):
    """A first save can be undone; a row with the object's group is kept."""
    nothing = np.full((2, 3), np.nan)
    before = storage.read_bytes(f"{uri}/landmarks.csv")
    undone = save(uri, "new", nothing, save(uri, "new", PAIR, NO_ROWS).version)
    with pytest.raises(DataError, match="one row per object needs all its positions"):
        save(uri, "b", nothing, read(uri, "b").version)

    assert undone.version == NO_ROWS
    assert storage.read_bytes(f"{uri}/landmarks.csv") == before


def test_the_source_of_a_label_is_that_of_its_last_save(long_uri):
    """It is not known for imported labels, nor after a change by another program; one that is restored has it again."""
    known = {"ear_l": "proposal", "chin": "corrected", "scar": "marked"}

    def sources():
        label = read(long_uri, "b", MIXED)
        return dict(zip(MIXED.names, sources_of(label, MIXED, read_marks(long_uri, "b")), strict=True))

    imported = sources()
    first = save_label(long_uri, MIXED, "b", POINTS, SCARLESS, read(long_uri, "b", MIXED).version, known)
    accepted = sources()
    second = save_label(long_uri, MIXED, "b", POINTS + 1, SCARLESS, first.version, {"chin": "marked"})
    moved = sources()
    save_label(long_uri, MIXED, "b", POINTS, SCARLESS, second.version, {"ear_l": "proposal"})
    restored = sources()
    table = storage.read_bytes(f"{long_uri}/landmarks.csv")
    storage.write_bytes(f"{long_uri}/landmarks.csv", table.replace(b"b,ear_l,,1,", b"b,ear_l,,1.1,"))

    assert imported == dict.fromkeys(MIXED.names)
    assert accepted == {**imported, **known}
    assert moved == {**imported, "chin": "marked", "scar": "marked"}
    assert restored == {**imported, "ear_l": "proposal", "scar": "marked"}
    assert sources() == {**restored, "ear_l": None}


def test_many_savers_lose_no_line_of_the_history(folder):
    """Twelve saves at once have a row per landmark each."""
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda i: save(folder, f"o{i}", (i + 1) * PAIR, NO_ROWS), range(12)))

    assert sorted(mark.object_id for mark in read_marks(folder)) == sorted([f"o{i}" for i in range(12)] * 2)
