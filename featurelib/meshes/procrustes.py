"""Align shapes of corresponding points with each other: without position, rotation and size.

Generalized Procrustes analysis (Gower, Psychometrika 40, 1975), with a weight for each point: the inverse of its
variance among the shapes, because a long chin or a broad neck would rotate the whole head.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.meshes.registration import diagonal_mm

Floats = NDArray[np.float64]

ROUNDS = 4
"""Number of times that the mean and its weights are recomputed."""


class AlignedShapes(NamedTuple):
    """Shapes (n, m, 3) of corresponding points in mm, aligned with their mean (m, 3), and the points' weights (m,).

    The mean of the weights is 1.
    """

    shapes_mm: Floats
    mean_mm: Floats
    weights: Floats


def align_shapes(shapes_mm: Floats, start_mm: Floats) -> AlignedShapes:
    """Return shapes (n, m, 3), at least one, aligned with their mean.

    Args:
        shapes_mm: the shapes.
        start_mm: (m, 3) to which they are first registered; it gives the mean its pose and size.
    """
    mean, weights = start_mm, np.ones(len(start_mm))
    for _ in range(ROUNDS):
        aligned = _registered_to(mean, shapes_mm, weights)
        mean, variances = aligned.mean(axis=0), ((aligned - aligned.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
        weights = 1 / (variances + max(float(np.percentile(variances, 20)), 1e-9 * diagonal_mm(start_mm) ** 2))
    return AlignedShapes(aligned, mean, weights / weights.mean())


def _registered_to(mean: Floats, shapes: Floats, weights: Floats) -> Floats:
    """Return shapes (n, m, 3), each moved to the corresponding points of a mean shape by a similarity.

    Least squares by singular values (Umeyama, IEEE PAMI 13(4), 1991), without a reflection.
    """
    shares = weights / weights.sum()
    offsets = shapes - np.einsum("m,nmx->nx", shares, shapes)[:, None]
    centre = shares @ mean
    left, sizes, right = np.linalg.svd(np.einsum("mx,nmy->nxy", (mean - centre) * shares[:, None], offsets))
    signs = np.ones_like(sizes)
    signs[:, 2] = np.linalg.det(left @ right)
    scales = (sizes * signs).sum(axis=1) / np.einsum("m,nmx->n", shares, offsets**2)
    rotations = (left * signs[:, None]) @ right
    return np.asarray(scales[:, None, None] * offsets @ rotations.swapaxes(1, 2) + centre)
