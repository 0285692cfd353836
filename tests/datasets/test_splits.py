import random
from collections import Counter
from pathlib import Path

import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import COORDINATES
from featurelib.datasets.splits import (
    FRACTIONS,
    MANY_GROUPS,
    NEEDS,
    SPLITS,
    assign_splits,
    few_objects,
    split_of,
    stable_fraction,
    warn_of_few_objects,
)
from featurelib.models.uncertainty.conformal import conformal_bound

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


def assigned(groups, fixed=None, known=None) -> dict[str, str]:
    """The split by group; all objects of a group must have the same one."""
    splits = assign_splits(groups, fixed or {}, known or {})
    found = set(zip(groups, splits, strict=True))
    assert len(found) == len(set(groups))
    return dict(found)


def counted(groups, splits) -> Counter:
    """The number of objects by split."""
    return Counter(splits[group] for group in groups)


def in_groups(*sizes: int) -> list[str]:
    """The group of each object, from the groups' sizes."""
    return [f"family-{i}" for i, size in enumerate(sizes) for _ in range(size)]


def test_skulls_in_few_families_have_objects_to_judge_by():
    """With 62 skulls in large and small families, validation and test have their shares; the hash gave two each."""
    families = in_groups(13, 13, 6, 5, 4, 4, 2, *[2] * 4, *[1] * 7)

    counts = counted(families, assigned(families))

    assert (len(set(families)), counts.total()) == (18, 62)
    assert counts["val"] >= 8
    assert counts["test"] >= 10
    assert counts["train"] >= 40


@pytest.mark.parametrize(("count", "shares"), [(1, (1, 0, 0)), (3, (1, 1, 1)), (20, (14, 3, 3)), (100, (70, 15, 15))])
def test_single_objects_have_the_nearest_shares(count, shares):
    """Objects without a group are groups of one."""
    counts = counted(NAMES[:count], assigned(NAMES[:count]))

    assert tuple(counts[split] for split in SPLITS) == shares


def test_a_thousand_structures_of_groups():
    """In any structure the shares are within one group, new objects move none, and the order does not matter."""
    rng = random.Random(0)
    for _ in range(1000):
        largest = rng.choice([1, 2, 5, 15])
        groups = in_groups(*(rng.randint(1, largest) for _ in range(rng.randint(3, MANY_GROUPS - 1))))
        rng.shuffle(groups)
        known = assigned(groups)

        counts, sizes = counted(groups, known), Counter(groups)
        for split, fraction in zip(SPLITS, FRACTIONS, strict=True):
            assert 0 < counts[split] < fraction * len(groups) + max(sizes.values())
        assert assigned(rng.sample(groups, len(groups))) == known

        more = groups + [f"family-{rng.randint(0, 250)}" for _ in range(rng.randint(1, 200))]
        assert known.items() <= assigned(more, known=known).items()


def test_added_groups_fill_what_is_missing():
    """Where a split is short, it gets the next objects."""
    known = {"family-0": "train", "family-1": "train", "family-2": "test"}

    assert assigned(in_groups(9, 9, 4, 3), known=known)["family-3"] == "val"


def test_fixed_splits_hold_and_count():
    """What the user fixed stays, also against an earlier assignment, and the others make up for it."""
    fixed = dict.fromkeys(NAMES[:30], "test")
    splits = assigned(NAMES[:100], fixed, known={NAMES[0]: "train", NAMES[99]: "val"})

    assert fixed.items() <= splits.items()
    assert splits[NAMES[99]] == "val"
    assert counted(NAMES[:100], splits) == {"train": 57, "val": 13, "test": 30}


@pytest.mark.parametrize("fixed", [{}, dict.fromkeys(NAMES[-100:], "val")])
def test_many_groups_are_split_by_their_names(fixed):
    """From MANY_GROUPS that are not fixed; earlier groups stay where they are."""
    few = [*NAMES[: MANY_GROUPS - 1], *fixed]
    known = assigned(few, fixed)
    assert known != {name: split_of(name) for name in known}

    many = [*few, *NAMES[MANY_GROUPS : MANY_GROUPS + 50]]
    assert assigned(many, fixed) == {name: split_of(name) for name in many} | fixed
    assert assigned(many, fixed, known) == {name: split_of(name) for name in many} | known


def test_few_objects_are_said_in_one_line(caplog):
    """The line has the numbers, what needs more and how many objects that takes; enough objects have none."""
    assert few_objects({"train": 150, "val": 32, "test": 20}) is None
    warn_of_few_objects("render", {"train": 40, "val": 9, "test": 33})

    assert caplog.messages == [
        "render: few objects to judge by (train 40, val 9, test 33): error bars of 95 % need 32 in val; "
        "label more objects, about 213 in all, divide them into smaller groups, or use `pipeline --folds 5`"
    ]


def test_error_bars_need_as_many_objects_as_stated():
    """A bound for 95 % is exact from this number of objects on."""
    assert [conformal_bound(range(1, n + 1), 0.95).exact for n in (NEEDS["val"] - 1, NEEDS["val"])] == [False, True]


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
