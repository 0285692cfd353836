"""Each landmark's place as the object's other landmarks give it, by a Gaussian model fitted on the other objects.

Both are left out in closed form: the landmark from its own prediction, and the object from the model. With the sum of
squares S = sum of y y^T + n ridge I over the centred objects y, W = S^-1, q = W y and c = n / (n - 1), the error of
block i is c B q_i / (1 - c q.y + c q_i.B q_i), where B is the inverse of block i of W: the conditional mean of a
Gaussian (Bishop, Pattern Recognition and Machine Learning, 2006, section 2.3.1) after the removal of one object by the
formula of Sherman and Morrison (Annals of Mathematical Statistics 21, 1950).

Labels far from their place are left out of the fit like missing ones, the farthest first, because a mistake moves the
places that it gives the others.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.models.refiner.repair import MIN_FITTED, moved_onto

LIMIT = 2.5
"""A label is far from its place beyond this multiple of the landmark's median distance: 3.9 standard deviations of a
Gaussian. Of the 15,200 labels of 200 clean heads the farthest is at 4.9."""

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Ridges that are tried, in units of the mean variance; the one with the least median error is taken. Exact labels of
200 heads with 76 landmarks take the smallest, and those of 30 heads the largest."""

FREE = 1e3
"""Variance of a motion of the whole object in the model, in units of the mean variance: motions tell nothing."""

ROUNDS = 10
"""Rounds of fit and removal; four are usual."""

MEAN_ROUNDS = 3


Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Places(NamedTuple):
    """Where the model places n objects' k landmarks.

    places: (n, k, 3). scores: (n, k) distances of the labels from these, in units of the landmark's median distance and
        of the model's standard deviations; NaN without a label.
    """

    places: Array
    scores: Array


def leave_one_out(points: Array, groups: NDArray[np.intp], *, is_free: bool = False) -> Places:
    """Return the places of the landmarks of n objects.

    Args:
        points: (n, k, 3) in a common frame, NaN where not labelled; some object has each landmark.
        groups: (k,) numbers, equal for landmarks that share a median distance, such as those of a pair.
        is_free: whether motions of a whole object tell nothing about its labels.
    """
    known = np.asarray(np.isfinite(points).all(axis=2))
    shape = np.array([np.median(points[known[:, i], i], axis=0) for i in range(points.shape[1])])
    used, filled = known, np.where(known[..., None], points, shape)
    free = _motions(shape) if is_free else np.zeros((shape.size, 0))
    for _ in range(ROUNDS):
        places, squares = _places(filled, points, used, free)
        scores = _in_medians(np.sqrt(squares), groups)
        farthest = np.where(used, scores, 0).max(axis=1, keepdims=True)
        removed = (scores > LIMIT) & (~used | (scores > farthest / 2))
        is_settled = bool(((known & ~removed) == used).all())
        used = known & ~removed
        filled = np.where(used[..., None], points, places)
        if is_settled:
            break
    return Places(places, scores)


def in_mean_frame(points: Array) -> Array:
    """Return the landmarks (n, k, 3) of n objects moved by similarities onto their median shape.

    NaN for objects with fewer than four labels. The shape has the size of the object with most labels.
    """
    known = np.isfinite(points).all(axis=2)
    mean = points[known.sum(axis=1).argmax()]
    typical = np.full(points.shape[1], np.nan)
    for _ in range(MEAN_ROUNDS):
        moved = np.array([moved_onto(one, mean, typical) for one in points])
        is_moved = np.isfinite(moved).all(axis=2)
        is_common = is_moved.any(axis=0)
        mean = np.full_like(mean, np.nan)
        mean[is_common] = [np.median(moved[is_moved[:, i], i], axis=0) for i in np.flatnonzero(is_common)]
    return moved


def can_be_moved(points: Array) -> bool:
    """Return whether a set (n, k, 3) has enough landmarks for `in_mean_frame`."""
    return points.shape[1] >= MIN_FITTED


def _places(filled: Array, points: Array, used: Mask, free: Array) -> tuple[Array, Array]:
    """Return the places (n, k, 3) and the squared Mahalanobis distances (n, k) of the points from these."""
    n, k, _ = filled.shape
    rows = filled.reshape(n, -1)
    centred = rows - rows.mean(axis=0)
    variance = max(float((centred**2).mean()), 1e-12)
    products = centred.T @ centred + n * FREE * variance * free @ free.T
    candidates = [products + n * ridge * variance * np.eye(3 * k) for ridge in RIDGES]
    sums = min(candidates, key=lambda each: _median_error(each, centred, used))
    inverse = np.linalg.inv(sums)
    places, squares = np.empty_like(filled), np.empty((n, k))
    for i in range(n):
        places[i], squares[i] = _placed_object(sums, inverse, centred[i], points[i], used[i], rows.mean(axis=0), n)
    return places, squares


def _placed_object(
    sums: Array, inverse: Array, centred: Array, points: Array, used: Mask, mean: Array, n: int
) -> tuple[Array, Array]:
    """Return the places (k, 3) of one object's landmarks, by those that are used, and their squared distances (k,)."""
    is_used, c = np.repeat(used, 3), n / (n - 1)
    inner = _without(inverse, is_used)
    q = np.zeros(len(centred))
    q[is_used] = inner @ centred[is_used]
    left = 1 - c * float(q @ centred)
    away, weights = np.zeros((len(used), 3)), np.empty((len(used), 3, 3))  # weights: inverse covariances
    blocks, steps = _diagonal(inner), q.reshape(-1, 3)[used]
    moved = np.linalg.solve(blocks, steps[..., None])[..., 0]
    away[used] = c * moved / (left + c * (steps * moved).sum(axis=1))[:, None]
    weights[used] = blocks + c / left * steps[:, :, None] * steps[:, None]
    places = points - away
    if not used.all():
        rest = ~is_used
        share = sums[np.ix_(rest, is_used)] @ inner
        given = c * (share @ centred[is_used] - (1 - left) / c * centred[rest]) / left
        places[~used] = (mean[rest] - centred[rest] / (n - 1) + given).reshape(-1, 3)
        weights[~used] = np.linalg.inv(_diagonal(sums[np.ix_(rest, rest)] - share @ sums[np.ix_(is_used, rest)]))
    errors = points - places
    return places, n * np.einsum("kx,kxy,ky->k", errors, weights, errors)


def _without(inverse: Array, is_used: Mask) -> Array:
    """Return the inverse of the used rows and columns of a matrix, from the inverse of the whole."""
    own, rest = inverse[np.ix_(is_used, is_used)], ~is_used
    if not rest.any():
        return own
    across = inverse[np.ix_(is_used, rest)]
    return np.asarray(own - across @ np.linalg.solve(inverse[np.ix_(rest, rest)], across.T))


def _median_error(sums: Array, centred: Array, used: Mask) -> float:
    """Return the median leave-one-out error of the used labels, with the filled ones taken for labels."""
    n, c = len(centred), len(centred) / (len(centred) - 1)
    inverse: Array = np.asarray(np.linalg.inv(sums), dtype=np.float64)
    q = centred @ inverse
    steps = q.reshape(n, -1, 3)
    moved = np.linalg.solve(_diagonal(inverse)[None], steps[..., None])[..., 0]
    left = 1 - c * (q * centred).sum(axis=1)
    errors = c * moved / (left[:, None] + c * (steps * moved).sum(axis=2))[..., None]
    return float(np.median(np.linalg.norm(errors, axis=2)[used]))


def _diagonal(matrix: Array) -> Array:
    """Return the diagonal blocks (k, 3, 3) of a matrix (3 k, 3 k)."""
    k = len(matrix) // 3
    return matrix.reshape(k, 3, k, 3)[np.arange(k), :, np.arange(k)]


def _motions(shape: Array) -> Array:
    """Return six orthonormal directions (3 k, 6) in which a shape (k, 3) moves as a whole."""
    moves = np.tile(np.eye(3), (len(shape), 1))
    turns = np.cross(np.eye(3)[None], (shape - shape.mean(axis=0))[:, None]).transpose(0, 2, 1).reshape(-1, 3)
    return np.asarray(np.linalg.svd(np.hstack([moves, turns]), full_matrices=False)[0])


def _in_medians(distances: Array, groups: NDArray[np.intp]) -> Array:
    """Return distances (n, k) in units of the median of their group; of half its upper quartile, if that is more.

    Where a quarter of the labels vary by steps, as on coarse meshes, the median alone would make suspects of them all.
    The upper quartile of a Gaussian is 1.3 medians.
    """
    scores = np.full_like(distances, np.nan)
    for group in np.unique(groups):
        of_group = distances[:, groups == group]
        if (known := of_group[np.isfinite(of_group)]).size:
            median, quartile = np.percentile(known, (50, 75))
            scores[:, groups == group] = of_group / max(float(median), float(quartile) / 2, 1e-12)
    return scores
