from collections import Counter
from pathlib import Path

import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import COORDINATES
from featurelib.datasets.splits import FRACTIONS, SPLITS, split_of, stable_fraction

NAMES = [f"head-{i:05d}" for i in range(20_000)]


def splits_of_dataset(folder: Path, group_of: dict[str, str]) -> dict[str, str]:
    """The split of each object of a dataset with these groups; its meshes are empty files."""
    (folder / "meshes").mkdir(exist_ok=True)
    for name in group_of:
        (folder / "meshes" / f"{name}.ply").touch()
    rows = [f"{name},1,2,3,4,5,6,{group}" for name, group in group_of.items()]
    header = ",".join(["object_id", *COORDINATES, "group"])
    (folder / "landmarks.csv").write_text("\n".join([header, *rows]))
    (folder / "dataset.json").write_text('{"unit": "mm", "landmark": "tragus"}')
    table = open_dataset(str(folder)).objects
    return dict(zip(table["object_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_no_group_is_in_more_than_one_split(tmp_path):
    """The split is by group, so all objects of a family, and all views of an object, are in one split.

    Otherwise a model would be evaluated on people that it was trained on.
    """
    group_of = {name: f"family-{i % 60}" for i, name in enumerate(NAMES[:300])}

    splits = splits_of_dataset(tmp_path, group_of)

    found = {group: {splits[name] for name in group_of if group_of[name] == group} for group in group_of.values()}
    assert all(len(of_group) == 1 for of_group in found.values())
    assert set(splits.values()) == set(SPLITS)


def test_new_objects_move_no_others(tmp_path):
    """A dataset that grows in old and new groups keeps the split of all earlier objects."""
    before = {name: f"family-{i % 30}" for i, name in enumerate(NAMES[:100])}
    after = {name: f"family-{i % 45}" for i, name in enumerate(NAMES[100:200])} | before

    first = splits_of_dataset(tmp_path, before)
    second = splits_of_dataset(tmp_path, after)

    assert len(second) == 200
    assert first.items() <= second.items()


def test_the_split_never_changes():
    """The split of a name never changes: these values were computed with `sha256sum`."""
    # printf head-00000 | sha256sum | cut -c1-16, divided by 2^64
    assert stable_fraction("head-00000") == int("b4994abe8e726313", 16) / 2**64
    assert stable_fraction("") == int("e3b0c44298fc1c14", 16) / 2**64
    assert {name: split_of(name) for name in ("head-00000", "", "Zoë")} == {
        "head-00000": "val",
        "": "test",
        "Zoë": "val",
    }


def test_the_shares_are_as_stated():
    """The splits have 70, 15 and 15 per cent of 20,000 names, within two standard deviations of chance."""
    counts = Counter(map(split_of, NAMES))

    assert [counts[split] / len(NAMES) for split in SPLITS] == pytest.approx(FRACTIONS, abs=0.0065)


def test_fractions_are_spread_evenly():
    """Each twentieth of [0, 1) has its share of the names: consecutive names do not cluster."""
    places = [stable_fraction(name) for name in NAMES]

    assert min(places) >= 0
    assert max(places) < 1
    counts = Counter(int(place * 20) for place in places)
    assert all(abs(counts[i] - 1000) < 4 * 31 for i in range(20))
