"""Labels saved by row, by many people at the same time."""

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from featurelib.datasets.annotations import NO_ROWS, read_label, read_labels, save_label
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


def test_replaced_rows_are_in_the_history(uri):
    """The history has each replaced row, in order, with the time; coordinates are empty for a new object."""
    first = save(uri, "b", PAIR, read(uri, "b").version)
    save(uri, "b", 2 * PAIR, first.version)
    save(uri, "new", PAIR, NO_ROWS)
    history = rows_of(uri, "landmarks.history.csv")

    assert [(row["object_id"], row["left_x"]) for row in history] == [("b", "1.50"), ("b", "0.1"), ("new", "")]
    assert all(row["replaced_at"].endswith("+00:00") for row in history)


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
    assert [(row["object_id"], row["landmark"], row["x"]) for row in history] == [("b", "chin", "1.50")]


def test_a_label_may_become_empty_again(long_uri):
    """Its rows are removed, and the history keeps them."""
    first = save_label(long_uri, MIXED, "new", POINTS, SCARLESS, NO_ROWS)
    complete = save_label(long_uri, MIXED, "new", np.ones((4, 3)), [False] * 4, first.version)
    last = save_label(long_uri, MIXED, "new", np.full((4, 3), np.nan), [False] * 4, complete.version)
    history = rows_of(long_uri, "landmarks.history.csv")

    assert (complete.is_complete, last.version, last.is_complete) == (True, NO_ROWS, False)
    assert [row["landmark"] for row in history] == ["", "ear_l", "chin", "scar", *MIXED.names]
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


def test_a_history_names_its_columns_again_where_the_form_changes(uri):
    """No row of another form stands below a header that does not fit it."""
    save(uri, "b", PAIR, read(uri, "b").version)
    storage.write_bytes(f"{uri}/landmarks.csv", b"object_id,landmark,x,y,z\n")
    save(uri, "b", PAIR, NO_ROWS)
    save(uri, "a", PAIR, NO_ROWS)
    lines = storage.read_bytes(f"{uri}/landmarks.history.csv").decode().splitlines()

    assert [line.split(",")[:3] for line in lines if line.startswith("replaced_at")] == [
        ["replaced_at", "object_id", "left_x"],
        ["replaced_at", "object_id", "landmark"],
    ]
    assert len(lines) == 5
