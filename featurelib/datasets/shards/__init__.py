"""Rendered views on disk, from what shapes them to the file that commits them.

`spec` (what shapes the images), `plan` (which shard holds which object), `views` (one object's rows), `png`
(an image), `files` (one shard's file) and `manifest` (the commit of them all).
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
from featurelib.datasets.shards.plan import ShardPlan, bucket_of, num_buckets, plan_shards, shard_names, shard_prefix
from featurelib.datasets.shards.png import decode_png, encode_png
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.shards.views import object_views

__all__ = [
    "Manifest",
    "Receipt",
    "RenderSpec",
    "ShardPlan",
    "bucket_of",
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
