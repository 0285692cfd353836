"""Labels saved by row, by many people at the same time."""

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from featurelib.datasets.annotations import ABSENT, read_label, read_labels, save_label
from featurelib.datasets.dataset import objects_table
from featurelib.errors import ConflictError, DataError
from featurelib.runtime import storage
from featurelib.runtime.storage import Entry

TABLE = """object_id,left_x,left_y,left_z,right_x,right_y,right_z,group,note
a,1,2,3,-1,2,3,family,"first, of all"
b,1.50,2,3,-1,2,3,family,
c,,,,,,,,
"""
PAIR = np.array([[0.1, 0.2, 0.30000000001], [-0.1, 0.2, 1e-7]])


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
    before = read_label(uri, "b")
    saved = save_label(uri, "b", PAIR, before.version)

    np.testing.assert_allclose(read_label(uri, "b").pair, PAIR, rtol=1e-8)
    assert saved.version == read_label(uri, "b").version != before.version


def test_other_rows_and_columns_are_kept(uri):
    """Other rows and other columns keep their text."""
    before = rows_of(uri)
    save_label(uri, "b", PAIR, read_label(uri, "b").version)
    after = rows_of(uri)

    assert [before[0], before[2]] == [after[0], after[2]]
    assert (after[1]["group"], after[1]["note"]) == ("family", "")


def test_replaced_rows_are_in_the_history(uri):
    """The history has each replaced row, in order, with the time; coordinates are empty for a new object."""
    first = save_label(uri, "b", PAIR, read_label(uri, "b").version)
    save_label(uri, "b", 2 * PAIR, first.version)
    save_label(uri, "new", PAIR, ABSENT)
    history = rows_of(uri, "landmarks.history.csv")

    assert [(row["object_id"], row["left_x"]) for row in history] == [("b", "1.50"), ("b", "0.1"), ("new", "")]
    assert all(row["replaced_at"].endswith("+00:00") for row in history)


def test_a_dataset_begins_with_its_first_label(folder):
    """Without a landmarks.csv there are no labels; saving the first one writes a table that a dataset can use."""
    assert read_labels(folder) == {}
    save_label(folder, "a", PAIR, ABSENT)
    table = objects_table([Entry("a.ply", 1, "x")], storage.read_bytes(f"{folder}/landmarks.csv"))

    np.testing.assert_allclose(table["left"].to_pylist()[0], PAIR[0], rtol=1e-8)


def test_a_row_without_numbers_is_not_a_label(uri):
    """The row exists, so it has a version, but it has no pair."""
    label = read_label(uri, "c")

    assert label.pair is None
    assert label.version != ABSENT


def test_a_label_that_another_has_saved_is_not_replaced(uri):
    """Saving over a row that was changed raises ConflictError, and the newer row is kept."""
    read_by_both = read_label(uri, "a").version
    save_label(uri, "a", PAIR, read_by_both)
    with pytest.raises(ConflictError, match="'a': its label was saved by somebody else"):
        save_label(uri, "a", 3 * PAIR, read_by_both)

    np.testing.assert_allclose(read_label(uri, "a").pair, PAIR, rtol=1e-8)


def test_no_label_is_lost_when_many_save_at_once(folder):
    """Twelve objects saved at once are all saved; of twelve saves of one object's first label, one succeeds."""

    def save(object_id, factor):
        try:
            save_label(folder, object_id, factor * PAIR, ABSENT)
        except ConflictError:
            return 0
        return factor

    with ThreadPoolExecutor(12) as pool:
        different = list(pool.map(save, [f"o{i}" for i in range(12)], range(1, 13)))
        same = list(pool.map(save, ["one"] * 12, range(1, 13)))
    (winner,) = [factor for factor in same if factor]

    assert different == list(range(1, 13))
    np.testing.assert_allclose(read_label(folder, "o7").pair, 8 * PAIR, rtol=1e-8)
    np.testing.assert_allclose(read_label(folder, "one").pair, winner * PAIR, rtol=1e-8)
    assert len(rows_of(folder)) == 13


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
        save_label(str(tmp_path), "a", PAIR, ABSENT)

    assert content == (tmp_path / "landmarks.csv").read_bytes()


def test_a_table_with_semicolons_is_saved_with_commas(tmp_path):
    """Decimal commas become points; other rows and columns are kept."""
    (tmp_path / "landmarks.csv").write_text(TABLE.replace(",", ";").replace("1.50", "1,50"))
    before = read_label(str(tmp_path), "b")
    np.testing.assert_allclose(before.pair, [[1.5, 2, 3], [-1, 2, 3]])
    save_label(str(tmp_path), "a", PAIR, read_label(str(tmp_path), "a").version)

    after = rows_of(str(tmp_path))
    assert (after[1]["left_x"], after[0]["group"]) == ("1.50", "family")
    assert read_label(str(tmp_path), "b").version == before.version


@pytest.mark.parametrize("marker", ["-9999", "NA", "9999.0", ""])
def test_markers_of_missing_values_are_no_label(tmp_path, marker):
    (tmp_path / "landmarks.csv").write_text(f"{TABLE}d,1,2,3,{marker},{marker},{marker},,\n")

    assert read_label(str(tmp_path), "d").pair is None
