"""The audit of RUN/renders/<projection>, before a training and before a report.

1. The required splits have views, according to the manifest.
2. Read the footers of the shards: in this process if they are few, otherwise in Ray tasks.
3. Search for leaks between splits, and compare the shards with the manifest.
"""

from collections.abc import Sequence

import ray

from featurelib.datasets.leakage import (
    KINDS,
    Contents,
    find_leaks,
    read_contents,
    refuse_leaks,
    refuse_mismatch,
    refuse_missing_splits,
)
from featurelib.datasets.shards import Manifest, open_renders
from featurelib.errors import DataError
from featurelib.models.detector.files import is_final, is_trained
from featurelib.runtime.progress import Progress
from jobs.workers import cluster

SHARDS_IN_PROCESS = 512
"""Largest number of shards that are read in this process: in 1.5 s, where Ray's first tasks take 9 s."""

SHARDS_PER_TASK = 64
"""Number of shards per task: about 0.2 s of one core."""


def audit_renders(manifest: Manifest, *, splits: Sequence[str] = ("train", "val")) -> None:
    """Refuse a rendering that leaks between splits or is inconsistent.

    Args:
        manifest: of the rendering.
        splits: that must have views.

    Raises:
        DataError: if a split is empty, splits leak, or a shard differs from the manifest or from its receipt.
    """
    refuse_missing_splits(manifest, splits)
    contents = gather_contents(manifest)
    refuse_leaks(manifest, find_leaks(contents.rows))
    refuse_mismatch(manifest, contents)


def refuse_learnt(manifest: Manifest, start_from: str) -> None:
    """Refuse networks of an earlier run that were trained on what is now a validation or test object.

    Args:
        manifest: of the present rendering.
        start_from: the earlier run.

    Raises:
        DataError: if an object, group or mesh is for training there and not here, or that run has no detector or was
            trained on every object.
    """
    projection = manifest.spec.projection
    if not is_trained(start_from, projection):
        raise DataError(f"--start-from {start_from}: no trained detector of {projection} images")
    if is_final(start_from, projection):
        raise DataError(f"--start-from {start_from}: trained on every object by --folds, so none is left to judge by")
    before = gather_contents(open_renders(start_from, projection)).rows.to_pylist()
    held_out = [row for row in gather_contents(manifest).rows.to_pylist() if row["split"] != "train"]
    for kind, column in KINDS.items():
        learnt = {row[column] for row in before if row["split"] == "train"}
        for row in held_out:
            if row[column] in learnt:
                raise DataError(
                    f"--start-from {start_from}: its networks were trained on {kind} {row[column]}, which is now in "
                    f"{row['split']}; put it into train, or train without --start-from"
                )


def gather_contents(manifest: Manifest) -> Contents:
    """Return the contents of all shards of a rendering.

    Raises:
        DataError: if a shard is missing or damaged.
    """
    if len(manifest.shards) <= SHARDS_IN_PROCESS:
        return read_contents(manifest.shards_uri, manifest.shards).with_splits(manifest.splits)
    cluster.connect()
    progress = Progress("audit", len(manifest.shards), "shards")
    shares = [manifest.shards[i : i + SHARDS_PER_TASK] for i in range(0, len(manifest.shards), SHARDS_PER_TASK)]
    waiting = [read_share.remote(manifest.shards_uri, names) for names in shares]
    parts = []
    for part, names in zip(waiting, shares, strict=True):
        parts.append(ray.get(part))
        progress.add(len(names))
    return Contents.concat(parts).with_splits(manifest.splits)


@ray.remote(num_cpus=1)
def read_share(uri: str, names: Sequence[str]) -> Contents:
    """Return the contents of some of a folder's shards."""
    return read_contents(uri, names)
