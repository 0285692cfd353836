from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from featurelib.geometry import Alignment, Rig
from featurelib.records import OBJECTS
from featurelib.shards import bucket_of, num_buckets, plan_shards
from featurelib.shards.plan import OBJECTS_PER_SHARD, shard_name


def row(object_id: str) -> dict[str, Any]:
    return {
        "object_id": object_id,
        "mesh": f"{object_id}.ply",
        "mesh_tag": f"sha256:{object_id}",
        "group": object_id,
        "split": "train",
        "left": [1.0, 2.0, 3.0],
        "right": [-1.0, 2.0, 3.0],
    }


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=OBJECTS)


ROWS = [row(f"head-{i:03d}") for i in range(100)]


def members(buckets: int) -> list[set[str]]:
    """The ids in each of so many buckets."""
    sets: list[set[str]] = [set() for _ in range(buckets)]
    for one in ROWS:
        sets[bucket_of(one["object_id"], buckets)].add(one["object_id"])
    return sets


def test_every_object_is_in_the_one_shard_of_its_bucket(spec):
    """Plans come one a bucket, in order, and together hold each row once, in the order of the table."""
    plans = plan_shards(table(ROWS), spec, 8)

    assert [plan.bucket for plan in plans] == list(range(8))
    for plan in plans:
        assert list(plan.objects) == [one for one in ROWS if bucket_of(one["object_id"], 8) == plan.bucket]


def test_the_same_inputs_have_the_same_names(spec):
    """Planning again, from tables made anew, gives the same plans."""
    assert plan_shards(table(ROWS), spec, 8) == plan_shards(table([dict(one) for one in ROWS]), replace(spec), 8)


def test_a_new_object_changes_one_shard(spec):
    """All shards but the newcomer's keep their names, so they need not be rendered again."""
    before = plan_shards(table(ROWS), spec, 8)
    after = plan_shards(table([row("a-newcomer"), *ROWS]), spec, 8)

    changed = {b.bucket for b, a in zip(before, after, strict=True) if b.name != a.name}
    assert changed == {bucket_of("a-newcomer", 8)}


def test_twice_the_buckets_split_each_in_two():
    """A dataset that doubles takes every shard apart and mixes none."""
    for buckets in (1, 2, 8, 32):
        halves = members(2 * buckets)
        assert members(buckets) == [halves[2 * i] | halves[2 * i + 1] for i in range(buckets)]


def test_a_shard_with_the_same_members_has_the_same_name_anywhere(spec):
    """Neither the bucket, nor how many there are, nor the objects of other shards are in a shard's name."""
    [alone] = plan_shards(table(ROWS[:1]), spec, 1)
    others = plan_shards(table(ROWS[:1]), spec, 16)

    assert others[bucket_of(ROWS[0]["object_id"], 16)].name == alone.name
    assert len({plan.name for plan in others}) == 2  # the other fifteen are without objects, and so are the same file


@pytest.mark.parametrize(
    "change",
    [
        {"mesh_tag": "sha256:other"},
        {"mesh": None, "mesh_tag": None},
        {"left": [1.0, 2.0, 3.0 + 1e-9]},
        {"right": [0.0, 2.0, 3.0]},
        {"group": "kin"},
        {"split": "test"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_name_depends_on_content_and_labels(spec, change):
    """Another mesh, or a label that is not the same to the last digit, makes another shard."""
    assert shard_name([ROWS[0] | change, ROWS[1]], spec) != shard_name(ROWS[:2], spec)


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "m"},
        {"alignment": Alignment(scale=1.5)},
        {"projection": "perspective"},
        {"frame_mm": 200.5},
        {"image_size": 65},
        {"rig": Rig.evenly(9, 80.0)},
        {"backend": "pyrender"},
        {"shading": 99},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_name_depends_on_all_that_shapes_the_pixels(spec, change):
    """Each field of the spec makes another shard."""
    assert shard_name(ROWS[:2], replace(spec, **change)) != shard_name(ROWS[:2], spec)


def test_a_name_is_a_file_name(spec):
    """A shard is called shard-<24 hexadecimal digits>.parquet."""
    prefix, _, rest = shard_name(ROWS, spec).partition("-")

    assert prefix == "shard"
    assert rest.endswith(".parquet")
    assert len(bytes.fromhex(rest.removesuffix(".parquet"))) == 12


@pytest.mark.parametrize("num_objects", [0, 1, 16, 17, 32, 33, 100, 1000, 1024, 1025, 100_000])
def test_the_fewest_buckets_that_leave_room(num_objects):
    """Their number is the smallest power of two with OBJECTS_PER_SHARD objects or fewer in each, on average."""
    buckets = num_buckets(num_objects)

    assert buckets & (buckets - 1) == 0
    assert num_objects <= buckets * OBJECTS_PER_SHARD
    assert buckets == 1 or num_objects > buckets // 2 * OBJECTS_PER_SHARD
