"""Is RUN/renders/<projection> fit to train on? Asked before the first epoch, which would otherwise be wasted.

1. The needed sides of the split have views, says the manifest.
2. Read what the shards hold: their footers alone, here if they are few, else in Ray tasks.
3. Search for leaks across the split, and compare the shards with the manifest.
"""

from collections.abc import Sequence

import ray

from featurelib.audit import (
    Contents,
    find_leaks,
    read_contents,
    refuse_leaks,
    refuse_mismatch,
    refuse_missing_splits,
)
from featurelib.progress import Progress
from featurelib.shards import Manifest
from jobs import cluster

SHARDS_HERE = 512
"""So many are read in this process at most: in 1.5 s, when Ray takes 9 s for its first tasks."""

SHARDS_A_TASK = 64
"""A task's share: about 0.2 s of one core."""


def audit_renders(manifest: Manifest, *, splits: Sequence[str] = ("train", "val")) -> None:
    """Refuse a rendering that would teach or measure something else than it says.

    Args:
        manifest: of the rendering.
        splits: the sides that must have views.

    Raises:
        DataError: if a side is missing, the split leaks, or a shard is not as the manifest and its receipt say.
    """
    refuse_missing_splits(manifest, splits)
    contents = gather_contents(manifest)
    refuse_leaks(manifest, find_leaks(contents.rows))
    refuse_mismatch(manifest, contents)


def gather_contents(manifest: Manifest) -> Contents:
    """Return what all shards of a rendering hold.

    Raises:
        DataError: if a shard is missing or damaged.
    """
    if len(manifest.shards) <= SHARDS_HERE:
        return read_contents(manifest.uri, manifest.shards)
    cluster.connect()
    progress = Progress("audit", len(manifest.shards), "shards")
    shares = [manifest.shards[i : i + SHARDS_A_TASK] for i in range(0, len(manifest.shards), SHARDS_A_TASK)]
    waiting = [read_share.remote(manifest.uri, names) for names in shares]
    parts = []
    for part, names in zip(waiting, shares, strict=True):
        parts.append(ray.get(part))
        progress.add(len(names))
    return Contents.concat(parts)


@ray.remote(num_cpus=1)
def read_share(uri: str, names: Sequence[str]) -> Contents:
    """Return what some of a folder's shards hold."""
    return read_contents(uri, names)
