"""Rendered views on disk.

`spec` (what shapes the images), `frame` (the image width, from a sample), `config` (the configuration of a run),
`plan` (the shard of each object), `sandboxed` (what runs in a process that reads meshes), `views` (one object's rows),
`png` (an image as bytes), `files` (one shard's file), `manifest` (the commit of all shards), `folder` (a listed folder
of a run) and `recorded_splits` (the splits of a run's groups).
"""

from featurelib.datasets.shards.files import Receipt, read_receipt, read_views, write_shard
from featurelib.datasets.shards.manifest import (
    Manifest,
    commit,
    is_finished,
    open_renders,
    refuse_other_version,
    renders_uri,
)
from featurelib.datasets.shards.plan import (
    ShardPlan,
    bucket_of,
    by_bucket,
    num_buckets,
    plan_shards,
    shard_names,
    shard_prefix,
)
from featurelib.datasets.shards.png import decode_png, encode_png
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.shards.views import object_views

__all__ = [
    "Manifest",
    "Receipt",
    "RenderSpec",
    "ShardPlan",
    "bucket_of",
    "by_bucket",
    "commit",
    "decode_png",
    "encode_png",
    "is_finished",
    "num_buckets",
    "object_views",
    "open_renders",
    "plan_shards",
    "read_receipt",
    "read_views",
    "refuse_other_version",
    "renders_uri",
    "shard_names",
    "shard_prefix",
    "write_shard",
]
