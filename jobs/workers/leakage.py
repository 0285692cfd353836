"""Is RUN/renders/<projection> fit to train on, and its test side to measure on?

Asked before the first epoch, which would otherwise be wasted:

1. The needed sides of the split have views, says the manifest.
2. Read what the shards hold: their footers alone, here if they are few, else in Ray tasks.
3. Search for leaks across the split, and compare the shards with the manifest.

Asked when a report is written, since it takes every mesh: are two of one shape on different sides of the split?
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.datasets.leakage import (
    Contents,
    find_leaks,
    read_contents,
    refuse_leaks,
    refuse_mismatch,
    refuse_missing_splits,
)
from featurelib.datasets.shards import Manifest
from featurelib.errors import DataError
from featurelib.meshes.shape import invariants, same_shapes
from featurelib.runtime.progress import Progress
from jobs.workers import cluster
from jobs.workers.inference import gathered, mesh_files, without_objects

SHARDS_HERE = 512
"""So many are read in this process at most: in 1.5 s, when Ray takes 9 s for its first tasks."""

SHARDS_A_TASK = 64
"""A task's share: about 0.2 s of one core."""

MESHES_A_TASK = 16
"""A task's share: about 0.4 s of one core on heads of 34,000 faces."""


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


def near_duplicates(dataset: Dataset, objects: pa.Table) -> list[str]:
    """Return a line for each two objects of one shape, but not of one file, on different sides of the split.

    Args:
        dataset: with the meshes; one that cannot be read is like no other.
        objects: rows of featurelib.datasets.leakage.CONTENTS.
    """
    rows = list({row["object_id"]: row for row in objects.to_pylist()}.values())
    files, small = mesh_files(dataset, [row["object_id"] for row in rows]), ray.put(without_objects(dataset))
    shares = [files[i : i + MESHES_A_TASK] for i in range(0, len(files), MESHES_A_TASK)]
    progress = Progress("audit: shapes", len(files), "objects")
    shapes = chain(*gathered(lambda share: read_shapes.remote(small, share), shares, len, progress))
    known = [(row, shape) for row, shape in zip(rows, shapes, strict=True) if shape is not None]
    pairs = [(known[i][0], known[j][0]) for i, j in same_shapes([shape for _, shape in known])]
    return [
        f"{first['object_id']} ({first['split']}) has the same shape as {second['object_id']} ({second['split']})"
        for first, second in pairs
        if first["split"] != second["split"] and first["mesh_sha256"] != second["mesh_sha256"]
    ]


@ray.remote(num_cpus=1)
def read_shapes(dataset: Dataset, files: Sequence[MeshFile]) -> list[NDArray[np.float64] | None]:
    """Return the invariants (9,) of meshes; None of one that cannot be read."""
    return [_read_shape(dataset, file) for file in files]


def _read_shape(dataset: Dataset, file: MeshFile) -> NDArray[np.float64] | None:
    try:
        mesh = dataset.load(file)
    except DataError:
        return None
    return invariants(mesh.vertices_mm, mesh.faces)


@ray.remote(num_cpus=1)
def read_share(uri: str, names: Sequence[str]) -> Contents:
    """Return what some of a folder's shards hold."""
    return read_contents(uri, names)
