"""The shapes of a dataset's objects, registered on the cluster to their typical shape."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.errors import DataError
from featurelib.labelling.shapes import ShapeJob, shape_distances, shape_of
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.runtime.sandbox import SandboxLimits
from jobs.workers import cluster
from jobs.workers.reference import sample_reference
from jobs.workers.sandbox import map_sandboxed

logger = logging.getLogger(__name__)


def distances_of(
    limits: SandboxLimits, dataset: Dataset, object_ids: Sequence[str]
) -> tuple[list[str], NDArray[np.float64]]:
    """Return the objects that have a shape, in the given order, and the `shape_distances` (n, n) in mm between them.

    Args:
        limits: of the processes that read meshes.
        dataset: with the meshes; objects without a shape are reported and left out.
        object_ids: of objects with a mesh file.

    Raises:
        DataError: if no mesh can be read.
    """
    cluster.connect()
    reference = sample_reference(limits, dataset)
    if not isinstance(reference, ReferenceShape):
        raise DataError(f"{dataset.uri}: no typical shape ({reference or 'no mesh'}); run `featurelib validate`")
    files = dataset.files
    jobs = [
        ShapeJob(i, dataset.mesh_uri(files[i].name), dataset.object_from_source_of(files[i].rotation_wxyz), reference)
        for i in object_ids
    ]
    rows = [(job.object_id, row) for job, row in map_sandboxed(limits, "suggest: shapes", shape_of, jobs)]
    for object_id, row in rows:
        if not isinstance(row, np.ndarray):
            logger.warning("suggest: %s is left out: %s", object_id, row)
    known = [(object_id, row) for object_id, row in rows if isinstance(row, np.ndarray)]
    if not known:
        raise DataError(f"{dataset.uri}: no mesh of {len(rows)} can be read; run `featurelib validate`")
    return [object_id for object_id, _ in known], shape_distances(np.array([row for _, row in known]), reference)
