import pytest

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.landmark_table import COORDINATES
from featurelib.datasets.shards.recorded_splits import RecordedSplits
from featurelib.datasets.splits import split_of
from featurelib.errors import ConflictError, DataError
from featurelib.runtime import storage

HEADER = ",".join(["object_id", *COORDINATES, "group", "split"])


@pytest.fixture
def dataset(tmp_path):
    """A function that opens a dataset of these groups, one object each, with what a record knows."""

    def opened(groups, known=None, split="") -> Dataset:
        folder = tmp_path / "heads"
        (folder / "meshes").mkdir(parents=True, exist_ok=True)
        rows = [f'{i:03d},1,2,3,4,5,6,"{group}",{split}' for i, group in enumerate(groups)]
        for i in range(len(rows)):
            (folder / "meshes" / f"{i:03d}.ply").touch()
        (folder / "landmarks.csv").write_text("\n".join([HEADER, *rows]))
        (folder / "dataset.json").write_text('{"unit": "mm", "landmark": "tragus"}')
        return open_dataset(str(folder), splits={} if known is None else known.splits)

    return opened


def splits_of(dataset: Dataset) -> dict[str, str]:
    return dict(zip(*(dataset.objects[name].to_pylist() for name in ("group", "split")), strict=True))


def test_a_record_is_read_as_it_was_written(folder, dataset):
    """Any name of a group comes back, on disk and in an object store, and nothing is written twice."""
    written = dataset(["Zoë", "a, b", "sep=;", "group", "-1", "x|y;z"])
    RecordedSplits.of(folder).extend(written)

    read = RecordedSplits.of(folder)
    assert read.splits == splits_of(written)
    read.extend(written)
    assert RecordedSplits.of(folder).tag == read.tag


def test_recorded_groups_stay_when_objects_are_added(folder, dataset):
    """New groups are added to the record; groups that are gone stay in it."""
    RecordedSplits.of(folder).extend(dataset(["a", "b", "c"]))
    before = RecordedSplits.of(folder)
    more = dataset(["a", "c", *"defghijkl", *"ddddd"], before)
    before.extend(more)

    after = RecordedSplits.of(folder).splits
    assert before.splits.items() <= after.items()
    assert splits_of(more).items() <= after.items()
    assert set(after) == set("abcdefghijkl")


def test_groups_stay_where_an_earlier_run_has_them(tmp_path, dataset):
    """A new run that starts from it knows its groups, until it has a record of its own."""
    earlier, later = str(tmp_path / "earlier"), str(tmp_path / "later")
    RecordedSplits.of(earlier).extend(dataset("abc"))
    recorded = RecordedSplits.of(earlier).splits

    start = RecordedSplits.of(later, earlier)
    more = dataset(["c", "b", "a", *"defghi", *"jjjjj"], start)
    start.extend(more)

    assert recorded.items() <= splits_of(more).items()
    assert RecordedSplits.of(earlier).splits == recorded
    assert RecordedSplits.of(later, earlier).splits == splits_of(more)


def test_of_two_runs_at_once_both_have_the_same_splits(folder, dataset):
    """The same dataset gives the same record, so the second writer agrees; another dataset has to run again."""
    both = [RecordedSplits.of(folder) for _ in range(2)]
    for recorded in both:
        recorded.extend(dataset(["a", "b", "c"]))

    with pytest.raises(ConflictError, match=r"splits\.csv: another run wrote other splits in the meantime; run again"):
        both[1].extend(dataset(["d", "e"]))


def test_many_groups_need_no_record(tmp_path, dataset):
    """Their splits depend on their names alone; a rendered run without a record keeps to that with few, too."""
    RecordedSplits.of(str(tmp_path)).extend(dataset([f"g{i}" for i in range(300)]))
    assert not (tmp_path / "renders" / "splits.csv").exists()

    storage.write_bytes(str(tmp_path / "renders" / "perspective" / "manifest.json"), b"{}")
    recorded = RecordedSplits.of(str(tmp_path))
    few = dataset([f"g{i}" for i in range(30)], recorded)
    recorded.extend(few)

    assert splits_of(few) == {f"g{i}": split_of(f"g{i}") for i in range(30)}
    assert not (tmp_path / "renders" / "splits.csv").exists()


def test_a_run_with_a_record_that_grows_records_all(tmp_path, dataset):
    """Groups beyond the limit are split by their names, and stay so."""
    run = str(tmp_path)
    RecordedSplits.of(run).extend(dataset([f"g{i}" for i in range(30)]))
    before = RecordedSplits.of(run)
    before.extend(dataset([f"g{i}" for i in range(300)], before))

    after = RecordedSplits.of(run).splits
    assert after == {f"g{i}": split_of(f"g{i}") for i in range(300)} | before.splits


def test_fixed_splits_are_not_recorded(tmp_path, dataset):
    """They stay where the user keeps them; the empty record says that later groups are to be recorded."""
    RecordedSplits.of(str(tmp_path)).extend(dataset(["a", "b"], split="test"))

    assert (tmp_path / "renders" / "splits.csv").read_text() == "group,split\n"
    storage.write_bytes(str(tmp_path / "renders" / "orthographic" / "manifest.json"), b"{}")
    assert RecordedSplits.of(str(tmp_path)).splits == {}


def test_a_bad_record_is_one_line(tmp_path):
    """The error names the file, the line and the value."""
    storage.write_bytes(str(tmp_path / "renders" / "splits.csv"), b"group,split\na,dev\n")

    with pytest.raises(DataError, match=r"splits\.csv line 2: split 'dev'; expected train, val, test"):
        RecordedSplits.of(str(tmp_path))
