import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from featurelib.datasets.schemas import objects_schema
from featurelib.datasets.shards import RenderSpec, bucket_of, num_buckets, plan_shards
from featurelib.datasets.shards.plan import OBJECTS_PER_SHARD, shard_names
from featurelib.geometry import Alignment, LandmarkSet, Rig

PAIR = LandmarkSet.single_pair("tip")


def row(object_id: str) -> dict[str, Any]:
    return {
        "object_id": object_id,
        "mesh": f"{object_id}.ply",
        "mesh_tag": f"sha256:{object_id}",
        "rotation_wxyz": None,
        "group": object_id,
        "split": "train",
        "landmarks": [1.0, 2.0, 3.0, -1.0, 2.0, 3.0],
        "absent": [False, False],
    }


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=objects_schema(2))


ROWS = [row(f"head-{i:03d}") for i in range(100)]


def members(buckets: int) -> list[set[str]]:
    """The ids in each bucket."""
    sets: list[set[str]] = [set() for _ in range(buckets)]
    for one in ROWS:
        sets[bucket_of(one["object_id"], buckets)].add(one["object_id"])
    return sets


def test_every_object_is_in_the_one_shard_of_its_bucket(spec):
    """There is one plan per bucket, in order; together they have each row once, in the order of the table."""
    plans = plan_shards(table(ROWS), PAIR, {"orthographic": spec}, 8)

    assert [plan.bucket for plan in plans] == list(range(8))
    for plan in plans:
        assert plan.objects.to_pylist() == [one for one in ROWS if bucket_of(one["object_id"], 8) == plan.bucket]


def names(rows: list[dict[str, Any]], spec: RenderSpec, buckets: int) -> list[str]:
    return [plan.names["orthographic"] for plan in plan_shards(table(rows), PAIR, {"orthographic": spec}, buckets)]


def name(rows: list[dict[str, Any]], spec: RenderSpec, landmarks: LandmarkSet = PAIR) -> str:
    return shard_names(0, table(rows), landmarks, {"orthographic": spec})["orthographic"]


def test_the_same_inputs_have_the_same_names(spec):
    """Planning again from a new table gives the same names."""
    assert names(ROWS, spec, 8) == names([dict(one) for one in ROWS], replace(spec), 8)


def test_a_new_object_changes_one_shard(spec):
    """All other shards keep their names, so they are not rendered again."""
    before, after = names(ROWS, spec, 8), names([row("a-newcomer"), *ROWS], spec, 8)

    changed = {bucket for bucket in range(8) if before[bucket] != after[bucket]}
    assert changed == {bucket_of("a-newcomer", 8)}


def test_empty_shards_have_different_names(spec):
    """Each bucket has its own file, even if two are empty: the name has the number of the bucket."""
    assert len(set(names(ROWS[:1], spec, 16))) == 16


def test_twice_the_buckets_split_each_in_two():
    """Doubling the number of buckets splits each bucket in two and mixes none."""
    for buckets in (1, 2, 8, 32):
        halves = members(2 * buckets)
        assert members(buckets) == [halves[2 * i] | halves[2 * i + 1] for i in range(buckets)]


@pytest.mark.parametrize(
    "change",
    [
        {"mesh_tag": "sha256:other"},
        {"mesh": None, "mesh_tag": None},
        {"landmarks": [1.0, 2.0, 3.0 + 1e-9, -1.0, 2.0, 3.0]},
        {"landmarks": [1.0, 2.0, 3.0, float("nan"), float("nan"), float("nan")]},
        {"absent": [False, True]},
        {"group": "kin"},
        {"split": "test"},
    ],
    ids=str,
)
def test_a_name_depends_on_content_and_labels(spec, change):
    """Another mesh, or a label that differs in the last digit, gives another name."""
    assert name([ROWS[0] | change, ROWS[1]], spec) != name(ROWS[:2], spec)


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
def test_a_name_depends_on_everything_that_shapes_the_pixels(spec, change):
    """Each field of the spec changes the name."""
    assert name(ROWS[:2], replace(spec, **change)) != name(ROWS[:2], spec)


def test_a_name_depends_on_the_landmark_set(spec):
    """Other names, roles or a mirror give another name; texts and outlines do not."""
    others = [LandmarkSet.single_pair("eye"), replace(PAIR, mirror="none"), LandmarkSet(unpaired=PAIR.names)]
    same = replace(PAIR, definitions={"tip_left": "of the ear"}, outlines=(PAIR.names,))

    assert len({name(ROWS[:2], spec, landmarks) for landmarks in (PAIR, *others)}) == 4
    assert name(ROWS[:2], spec, same) == name(ROWS[:2], spec)


def test_a_name_is_a_file_name(spec):
    """A shard is called shard-<bucket>-<24 hexadecimal digits>.parquet."""
    assert re.fullmatch(r"shard-00000-[0-9a-f]{24}\.parquet", name(ROWS, spec))


@pytest.mark.parametrize("num_objects", [0, 1, 16, 17, 32, 33, 100, 1000, 1024, 1025, 100_000])
def test_there_are_as_few_buckets_as_possible(num_objects):
    """Their number is the smallest power of two with at most OBJECTS_PER_SHARD objects in each on average."""
    buckets = num_buckets(num_objects)

    assert buckets & (buckets - 1) == 0
    assert num_objects <= buckets * OBJECTS_PER_SHARD
    assert buckets == 1 or num_objects > buckets // 2 * OBJECTS_PER_SHARD
