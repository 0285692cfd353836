"""Search for meshes of the same shape in different splits, before a report: it reads all meshes."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.errors import DataError
from featurelib.meshes.shape import invariants, same_shapes
from featurelib.runtime.progress import Progress
from jobs.workers import cluster
from jobs.workers.inference import mesh_files, without_objects

MESHES_PER_TASK = 16
"""Number of meshes per task: about 0.4 s of one core on heads of 34,000 faces."""


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
