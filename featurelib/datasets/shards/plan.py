"""The plan of a rendering: the shard of each object and the names of the shards, a function of the inputs alone.

An object's bucket is given by the leading bits of a hash of its id. So a new object changes one shard, and doubling the
number of buckets splits each in two. A shard's name is a hash of its members' content, their labels and everything that
shapes the pixels. The same inputs give the same name, so an existing shard need not be rendered again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from featurelib.datasets.schemas import SCHEMA_VERSION
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.splits import stable_fraction
from featurelib.geometry import LandmarkSet

OBJECTS_PER_SHARD = 16
"""On average. Nine views of 512 px give shards of about 4 MB, and 1,000 objects give 64 tasks."""


@dataclass(frozen=True, eq=False)
class ShardPlan:
    """The shards of one bucket: their file names by projection, and their objects, rows of schemas.objects_schema."""

    bucket: int
    names: Mapping[str, str]
    objects: pa.Table


def num_buckets(num_objects: int, objects_per_shard: int = OBJECTS_PER_SHARD) -> int:
    """Return the number of shards: the smallest power of two with at most `objects_per_shard` in each on average."""
    shards = max(1, -(-num_objects // objects_per_shard))
    return 1 << (shards - 1).bit_length()


def bucket_of(object_id: str, buckets: int) -> int:
    """Return the bucket of an object among `buckets`, a power of two."""
    return int(stable_fraction(object_id) * buckets)


def by_bucket(objects: pa.Table, buckets: int) -> list[pa.Table]:
    """Return the members of each bucket, in the order of the table.

    Args:
        objects: with the column object_id.
        buckets: their number, from num_buckets.
    """
    places = np.fromiter((bucket_of(object_id.as_py(), buckets) for object_id in objects["object_id"]), dtype=np.int64)
    ordered = objects.take(np.argsort(places, kind="stable")).combine_chunks()
    ends = np.cumsum(np.bincount(places, minlength=buckets))
    return [ordered.slice(start, end - start) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def plan_shards(
    objects: pa.Table, landmarks: LandmarkSet, specs: Mapping[str, RenderSpec], buckets: int
) -> list[ShardPlan]:
    """Return one plan for each bucket, in order; objects within a shard are in the order of their ids.

    Args:
        objects: of schemas.objects_schema, sorted by object_id.
        landmarks: the dataset's set.
        specs: by projection.
        buckets: their number, from num_buckets.
    """
    members = by_bucket(objects, buckets)
    return [
        ShardPlan(bucket, shard_names(bucket, table, landmarks, specs), table) for bucket, table in enumerate(members)
    ]


def shard_names(
    bucket: int, objects: pa.Table, landmarks: LandmarkSet, specs: Mapping[str, RenderSpec]
) -> dict[str, str]:
    """Return the file names of a bucket's shards, by projection.

    Args:
        bucket: its number.
        objects: of schemas.objects_schema, all members of the bucket, with content tags.
        landmarks: the dataset's set.
        specs: by projection.
    """
    members = _digest([landmarks.hash, objects.to_pylist()])
    return {
        p: f"{shard_prefix(bucket)}{_digest([SCHEMA_VERSION, spec.to_dict(), members])[:24]}.parquet"
        for p, spec in specs.items()
    }


def shard_prefix(bucket: int) -> str:
    """Return the beginning of the file names of a bucket's shards."""
    return f"shard-{bucket:05d}-"


def _digest(values: list[Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
