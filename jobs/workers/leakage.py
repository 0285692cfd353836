"""The audit of RUN/renders/<projection>, before a training and before a report.

1. The required splits have views, according to the manifest.
2. Read the footers of the shards: in this process if they are few, otherwise in Ray tasks.
3. Search for leaks between splits, and compare the shards with the manifest.

Only before a report, since it reads all meshes: search for meshes of the same shape in different splits.
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
from jobs.workers.inference import mesh_files, without_objects

SHARDS_IN_PROCESS = 512
"""Largest number of shards that are read in this process: in 1.5 s, where Ray's first tasks take 9 s."""

SHARDS_PER_TASK = 64
"""Number of shards per task: about 0.2 s of one core."""

MESHES_PER_TASK = 16
"""Number of meshes per task: about 0.4 s of one core on heads of 34,000 faces."""


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


def gather_contents(manifest: Manifest) -> Contents:
    """Return the contents of all shards of a rendering.

    Raises:
        DataError: if a shard is missing or damaged.
    """
    if len(manifest.shards) <= SHARDS_IN_PROCESS:
        return read_contents(manifest.uri, manifest.shards)
    cluster.connect()
    progress = Progress("audit", len(manifest.shards), "shards")
    shares = [manifest.shards[i : i + SHARDS_PER_TASK] for i in range(0, len(manifest.shards), SHARDS_PER_TASK)]
    waiting = [read_share.remote(manifest.uri, names) for names in shares]
    parts = []
    for part, names in zip(waiting, shares, strict=True):
        parts.append(ray.get(part))
        progress.add(len(names))
    return Contents.concat(parts)


def near_duplicates(dataset: Dataset, objects: pa.Table) -> list[str]:
    """Return a line for each two objects with the same shape, from different files, in different splits.

    Args:
        dataset: with the meshes; those that cannot be read are skipped.
        objects: rows of featurelib.datasets.leakage.CONTENTS.
    """
    rows = list({row["object_id"]: row for row in objects.to_pylist()}.values())
    files, small = mesh_files(dataset, [row["object_id"] for row in rows]), ray.put(without_objects(dataset))
    shares = [files[i : i + MESHES_PER_TASK] for i in range(0, len(files), MESHES_PER_TASK)]
    progress = Progress("audit: shapes", len(files), "objects")
    shapes = chain(*cluster.run_in_order(lambda share: read_shapes.remote(small, share), shares, len, progress))
    known = [(row, shape) for row, shape in zip(rows, shapes, strict=True) if shape is not None]
    pairs = [(known[i][0], known[j][0]) for i, j in same_shapes([shape for _, shape in known])]
    return [
        f"{first['object_id']} ({first['split']}) has the same shape as {second['object_id']} ({second['split']})"
        for first, second in pairs
        if first["split"] != second["split"] and first["mesh_sha256"] != second["mesh_sha256"]
    ]


@ray.remote(num_cpus=1)
def read_shapes(dataset: Dataset, files: Sequence[MeshFile]) -> list[NDArray[np.float64] | None]:
    """Return the invariants (9,) of meshes; None for a mesh that cannot be read."""
    return [_read_shape(dataset, file) for file in files]


def _read_shape(dataset: Dataset, file: MeshFile) -> NDArray[np.float64] | None:
    try:
        mesh = dataset.load(file)
    except DataError:
        return None
    return invariants(mesh.vertices_mm, mesh.faces)


@ray.remote(num_cpus=1)
def read_share(uri: str, names: Sequence[str]) -> Contents:
    """Return the contents of some of a folder's shards."""
    return read_contents(uri, names)
