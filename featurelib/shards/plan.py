"""Which object goes into which shard, and what the shard is called: a function of the inputs alone.

An object's bucket is the leading bits of a hash of its id, so that a new object changes one shard and a
doubled dataset splits every bucket in two. A shard's name is a hash of its members' content, their labels
and all that shapes the pixels: the same inputs give the same name, and a shard that exists is right.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa

from featurelib.records import SCHEMA_VERSION
from featurelib.shards.spec import RenderSpec
from featurelib.splits import stable_fraction

OBJECTS_PER_SHARD = 16
"""On average. With nine views of 512 px this makes shards of about 4 MB, and 1,000 objects make 64 tasks."""


@dataclass(frozen=True)
class ShardPlan:
    """One shard to be: its bucket, its file name and the rows of records.OBJECTS that belong in it."""

    bucket: int
    name: str
    objects: tuple[Mapping[str, Any], ...]


def num_buckets(num_objects: int, objects_per_shard: int = OBJECTS_PER_SHARD) -> int:
    """Return the number of shards, a power of two that leaves `objects_per_shard` in each on average or fewer."""
    shards = max(1, -(-num_objects // objects_per_shard))
    return 1 << (shards - 1).bit_length()


def bucket_of(object_id: str, buckets: int) -> int:
    """Return the bucket of an object among `buckets`, a power of two."""
    return int(stable_fraction(object_id) * buckets)


def plan_shards(objects: pa.Table, spec: RenderSpec, buckets: int) -> list[ShardPlan]:
    """Return one plan for each bucket, in order; objects within a shard are in the order of their ids."""
    members: list[list[dict[str, Any]]] = [[] for _ in range(buckets)]
    for row in objects.to_pylist():
        members[bucket_of(row["object_id"], buckets)].append(row)
    return [ShardPlan(i, shard_name(rows, spec), tuple(rows)) for i, rows in enumerate(members)]


def shard_name(rows: list[dict[str, Any]], spec: RenderSpec) -> str:
    """Return the file name of the shard that holds these objects rendered like this."""
    identity = json.dumps([SCHEMA_VERSION, spec.to_dict(), rows], sort_keys=True, separators=(",", ":"))
    return f"shard-{sha256(identity.encode()).hexdigest()[:24]}.parquet"
