"""Folds: whole groups, balanced, recorded, and each object once in the test split."""

import random
from collections import Counter
from contextlib import nullcontext

import pyarrow as pa
import pytest

from featurelib.datasets import folds
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.folds import (
    MAX_COST,
    MEASURED_OBJECTS,
    Folds,
    assign_folds,
    deal,
    fold_uri,
    picture_share,
    refuse_folds,
    resplit,
)
from featurelib.datasets.splits import EVERY, SPLITS
from featurelib.errors import ConflictError, DataError, UsageError

SKULLS = [name for i, size in enumerate([13, 13, 6, 5, 4, 4, 2, *[1] * 15]) for name in [f"family-{i}"] * size]
"""The groups of 62 skulls in 22 families."""


def test_groups_are_whole_and_folds_balanced():
    """Over random group structures, no group is divided, and sizes differ by at most the largest group."""
    rng = random.Random(0)
    for _ in range(300):
        count = rng.randint(3, 8)
        groups = [f"g{i}" for i in range(rng.randint(count, 40)) for _ in range(rng.choice([1, 1, 1, 2, 5, 13]))]
        dealt = assign_folds(groups, count, {})
        sizes = Counter(dealt)

        assert len(set(zip(groups, dealt, strict=True))) == len(set(groups))
        assert set(sizes) == set(range(count))
        assert max(sizes.values()) - min(sizes.values()) <= max(Counter(groups).values())


def test_skulls_in_families_are_dealt_evenly():
    """Two families of 13 fill a fold each; the others share the rest."""
    assert sorted(Counter(assign_folds(SKULLS, 5, {})).values()) == [12, 12, 12, 13, 13]


def test_the_order_of_objects_does_not_matter():
    """Folds depend on the groups alone."""
    shuffled = random.Random(1).sample(SKULLS, len(SKULLS))

    both = (dict(zip(names, assign_folds(names, 5, {}), strict=True)) for names in (SKULLS, shuffled))
    assert next(both) == next(both)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_too_few_folds_or_groups_are_refused(count):
    """A fold needs two others, and a group of its own."""
    expected = f"--folds {count}: expected 3 or more, and at most one for each of the 3 groups"
    with pytest.raises(UsageError, match=expected):
        assign_folds(["a", "b", "c", "c"], count, {})


def test_added_objects_move_none(folder):
    """What a run has dealt stays, on disk and in an object store; another number of folds deals anew."""
    first = {f"object-{i}": group for i, group in enumerate(SKULLS)}
    more = {**{f"new-{i}": f"new-{i % 7}" for i in range(30)}, **first}
    before = deal(folder, first, 5)
    after = deal(folder, more, 5)

    assert before.fold_of.items() <= after.fold_of.items()
    assert max(after.sizes) - min(after.sizes) <= 5
    assert deal(folder, first, 5) == before
    assert deal(folder, first, 4).fold_of == deal(f"{folder}-fresh", first, 4).fold_of


def test_a_damaged_record_names_line_and_value(tmp_path):
    """A fold that is no number is not guessed."""
    deal(str(tmp_path), dict(zip("abc", "abc", strict=True)), 3)
    record = tmp_path / "folds" / "folds.csv"
    record.write_text(record.read_text().replace("2", "two"))

    with pytest.raises(DataError, match=r"folds\.csv line 2: fold 'two'; expected a number from 0 on"):
        deal(str(tmp_path), dict(zip("abc", "abc", strict=True)), 3)


@pytest.mark.parametrize(("other", "agrees"), [("abc", True), ("abd", False)])
def test_two_runs_at_once_agree_or_one_is_refused(tmp_path, monkeypatch, other, agrees):
    """Another run deals after this one has read the record: the same objects give the same folds."""
    run = str(tmp_path)

    def assign_after_another_run(*args):
        monkeypatch.undo()
        deal(run, dict(zip(other, other, strict=True)), 3)
        return assign_folds(*args)

    monkeypatch.setattr(folds, "assign_folds", assign_after_another_run)
    with nullcontext() if agrees else pytest.raises(ConflictError, match="run again"):
        assert deal(run, dict(zip("abc", "abc", strict=True)), 3).sizes == [1, 1, 1]


def folds_of(count: int) -> Folds:
    return Folds("/runs/heads", count, {f"object-{i:02d}": i % count for i in range(4 * count)})


def test_each_object_is_tested_once_and_validates_once():
    """In every other fold it is for training; a final training has all objects."""
    five = folds_of(5)
    splits = [five.splits(fold) for fold in range(5)]

    for object_id in five.fold_of:
        assert Counter(of_fold[object_id] for of_fold in splits) == {"test": 1, "val": 1, "train": 3}
    assert set(five.final_splits.values()) == {EVERY}
    assert five.runs == [fold_uri("/runs/heads", fold) for fold in range(5)]
    assert five.sizes == [4] * 5
    assert five.numbers(["object-07", "object-01"]).tolist() == [2, 1]


@pytest.mark.parametrize("count", [3, 5, 10])
def test_folds_of_a_small_set_cost_what_is_left_beside_a_final_training(count):
    """Their shares add up to MAX_COST less one; as many objects as the defaults were measured on get them all."""
    assert count * picture_share(20, count) == pytest.approx(MAX_COST - 1)
    assert picture_share(MEASURED_OBJECTS, count) == 1
    shares = [picture_share(number, count) for number in range(0, 400, 20)]
    assert shares == sorted(shares)


def test_rows_get_the_splits_of_their_objects():
    """Rows of other objects are left out, and the other columns stay."""
    table = pa.table({"object_id": ["a", "b", "c"], "split": ["train"] * 3, "x": [1, 2, 3]})

    assert resplit(table, {"c": "val", "a": "test"}).to_pylist() == [
        {"object_id": "a", "split": "test", "x": 1},
        {"object_id": "c", "split": "val", "x": 3},
    ]
    assert resplit(table, None) is table
    assert set(SPLITS).isdisjoint({EVERY})


def test_fixed_splits_are_refused(bodies):
    """Folds deal all objects, so a split that the user fixed would be ignored."""
    with pytest.raises(DataError, match="fix the `split` of some objects"):
        refuse_folds(open_dataset(str(bodies)), 5)
