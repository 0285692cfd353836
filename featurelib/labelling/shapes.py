"""The shapes of objects as corresponding points, and how much two of them differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes import read_mesh
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.procrustes import align_shapes
from featurelib.meshes.reference import corresponding_points


@dataclass(frozen=True, eq=False)
class ShapeJob:
    """One object whose shape is read.

    object_from_source: (4, 4). reference: the shape that is registered to it.
    """

    object_id: str
    mesh_uri: str
    object_from_source: NDArray[np.float64]
    reference: ReferenceShape


def shape_of(job: ShapeJob) -> NDArray[np.float64] | str:
    """Load an object's mesh and return its `corresponding_points` (m, 3), or the reason why it has none."""
    try:
        points_mm = corresponding_points(read_mesh(job.mesh_uri, job.object_from_source), job.reference)
    except DataError as error:
        return str(error)
    return "the typical shape cannot be registered to it" if points_mm is None else points_mm


def shape_distances(shapes_mm: NDArray[np.float64], reference: ReferenceShape) -> NDArray[np.float64]:
    """Return the distances (n, n) in mm between shapes (n, m, 3) of corresponding points, at least one.

    It is the root mean square distance of corresponding points, after all shapes are aligned with their mean. A point
    counts the less, the more it varies among the shapes: half the variance of unaligned heads is pitch and the cut of
    the neck.
    """
    aligned = align_shapes(shapes_mm, reference.points_mm)
    deviations = (aligned.shapes_mm - aligned.mean_mm) * np.sqrt(aligned.weights / len(aligned.weights))[:, None]
    flat = deviations.reshape(len(deviations), -1)
    squares = (flat**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0.0))
    np.fill_diagonal(distances, 0.0)
    return distances
