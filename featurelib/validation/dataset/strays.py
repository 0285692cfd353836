"""Parts of a mesh that are far from the rest of it: noise of a scanner, its turntable, a second object."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from featurelib.meshes import Mesh
from featurelib.meshes.mesh import doubled_areas, position_ids

GAP = 0.5
"""A part is far from the rest if the gap between their bounding boxes exceeds this share of the rest's diagonal, on any
axis. The bounding box, at whose centre the cameras aim, then moves by a quarter of the object."""

MAX_ROUNDS = 100
"""Rounds in which parts are added to the rest; each adds all that are near, so a few are enough for any object."""


class Strays(NamedTuple):
    """The parts of a mesh that are far from the rest.

    num_parts, num_faces: of these parts. far_mm: distance of the farthest from the rest's bounding box.
    rest_mm: diagonal of the rest's bounding box.
    """

    num_parts: int
    num_faces: int
    far_mm: float
    rest_mm: float


def find_strays(mesh: Mesh) -> Strays | None:
    """Return the parts that are far from the largest part and what is near it; None if there are none."""
    part_of_face = _parts(mesh)
    num_parts = int(part_of_face.max()) + 1
    if num_parts == 1:
        return None
    corners = mesh.vertices_mm[mesh.faces].astype(np.float64)
    areas = np.linalg.norm(doubled_areas(mesh.vertices_mm, mesh.faces), axis=0)
    order = np.argsort(part_of_face, kind="stable")
    starts = np.searchsorted(part_of_face[order], np.arange(num_parts))
    low = np.minimum.reduceat(corners.min(axis=1)[order], starts)
    high = np.maximum.reduceat(corners.max(axis=1)[order], starts)
    is_near = _near(low, high, int(np.bincount(part_of_face, areas).argmax()))
    if is_near.all():
        return None
    rest_low, rest_high = low[is_near].min(axis=0), high[is_near].max(axis=0)
    gaps = np.maximum(low - rest_high, rest_low - high)[~is_near].clip(0)
    num_faces = int((~is_near)[part_of_face].sum())
    far_mm, rest_mm = np.linalg.norm(gaps, axis=1).max(), np.linalg.norm(rest_high - rest_low)
    return Strays(int((~is_near).sum()), num_faces, float(far_mm), float(rest_mm))


def _near(low: NDArray[np.float64], high: NDArray[np.float64], largest: int) -> NDArray[np.bool_]:
    """Return (n,) whether each part, from `low` to `high` (n, 3), is near the largest or near parts that are."""
    is_near = np.arange(len(low)) == largest
    for _ in range(MAX_ROUNDS):
        rest_low, rest_high = low[is_near].min(axis=0), high[is_near].max(axis=0)
        reach = GAP * np.linalg.norm(rest_high - rest_low)
        nearer = is_near | ((low <= rest_high + reach) & (high >= rest_low - reach)).all(axis=1)
        if (nearer == is_near).all():
            break
        is_near = nearer
    return is_near


def _parts(mesh: Mesh) -> NDArray[np.int32]:
    """Return (m,) the number of each face's part; faces that share a vertex position are one part."""
    first, second, third = position_ids(mesh.vertices_mm)[mesh.faces].T
    count, ones = int(max(first.max(), second.max(), third.max())) + 1, np.ones(2 * len(first), bool)
    edges = (np.concatenate([first, second]), np.concatenate([second, third]))
    labels = connected_components(coo_matrix((ones, edges), shape=(count, count)), directed=False)[1][first]
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int32)
