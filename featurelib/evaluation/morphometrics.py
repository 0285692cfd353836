"""Errors as morphometricians judge them: found and marked landmarks as shapes, without position, size and rotation.

Formulas: Dryden and Mardia, Statistical Shape Analysis, 2nd edition 2016: centroid size (2.2), partial Procrustes
distance (4.1.4), generalised Procrustes analysis (7.3), principal components of shapes (7.7). Comparing pairwise
distances and components of two measurements of the same objects: Klingenberg, Evolution and development of shape:
integrating quantitative approaches, Nature Reviews Genetics 11, 2010, and for repeated digitising Klingenberg et al.,
Evolution 56(10), 2002, doi:10.1111/j.0014-3820.2002.tb00109.x.

Landmarks may be missing: shapes are compared by the landmarks that both have. Reflections are no rotations, so a shape
differs from its mirror image.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation.summaries import intervals, is_known, summary

Floats = NDArray[np.float64]

MIN_LANDMARKS = 3
"""Landmarks that make a shape in space."""

MIN_OBJECTS = 3
"""Objects that have distances to correlate."""

MAX_OBJECTS = 200
"""Objects whose pairwise distances are compared, evenly spread: 19,900 pairs take 2 s with 80 landmarks."""

COMPONENTS = 3
"""Leading principal components whose scores are compared."""

LEAST_SHARE = 1e-9
"""A component with a smaller share of the variance is a rounding error: n shapes have at most n - 1 components."""

ROUNDS = 10
"""Of a generalised Procrustes analysis; after three the mean hardly changes."""

PAIRS_AT_ONCE = 500_000
"""Landmarks of pairs of shapes that are compared at once: they take about 100 MB."""


def morphometrics(found_mm: Floats, marked_mm: Floats) -> dict[str, Any] | None:
    """Return the block `morphometrics` of a method in report.json; None for a set of fewer than three landmarks.

    Args:
        found_mm: (n, k, 3) NaN without an answer.
        marked_mm: (n, k, 3) NaN where not labelled.
    """
    if marked_mm.shape[1] < MIN_LANDMARKS:
        return None
    known = is_known(found_mm) & is_known(marked_mm)
    enough = known.sum(axis=1) >= MIN_LANDMARKS
    found, marked = (np.where(known[..., None], each, np.nan)[enough] for each in (found_mm, marked_mm))
    errors_pct, distances = size_errors_pct(found, marked), procrustes_distances(found, marked)
    return {
        "n": int(enough.sum()),
        "error_pct_centroid_size": summary(errors_pct),
        "interval_pct_centroid_size": intervals(errors_pct),
        "procrustes_distance": summary(distances),
        "interval_procrustes_distance": intervals(distances[:, None]),
        **_between_objects(found, marked),
    }


def size_errors_pct(found_mm: Floats, marked_mm: Floats) -> Floats:
    """Return the errors (n, k) of landmarks (n, k, 3) in % of the centroid size of the object's marked ones."""
    errors_mm = np.linalg.norm(found_mm - marked_mm, axis=-1)
    return np.asarray(100 * errors_mm / centroid_sizes(marked_mm)[:, None])


def centroid_sizes(points: Floats) -> Floats:
    """Return the root (...,) of the summed squared distances of points (..., k, 3) from their mean; NaN is left out."""
    return np.asarray(np.sqrt(np.nansum((points - _middle(points)) ** 2, axis=(-2, -1))))


def procrustes_distances(first: Floats, second: Floats) -> Floats:
    """Return the partial Procrustes distances (n,) of shapes (n, k, 3), by the landmarks that both have.

    It is the distance of the two after centring, scaling to centroid size 1 and rotation: 0 if the shapes are equal, at
    most the root of 2. It is NaN with fewer than three landmarks.
    """
    common = np.isfinite(first + second).all(axis=-1, keepdims=True)
    one, other = (_unit(np.where(common, shapes, np.nan)) for shapes in (first, second))
    distances = np.sqrt(np.nansum((one @ _rotations(one, other) - other) ** 2, axis=(-2, -1)))
    return np.where(common.sum(axis=(-2, -1)) >= MIN_LANDMARKS, distances, np.nan)


def pairwise_distances(shapes: Floats) -> Floats:
    """Return the Procrustes distances of all n (n - 1) / 2 pairs of shapes (n, k, 3)."""
    rows, columns = np.triu_indices(len(shapes), 1)
    parts = np.array_split(np.arange(len(rows)), len(rows) * shapes.shape[1] // PAIRS_AT_ONCE + 1)
    return np.concatenate([procrustes_distances(shapes[rows[part]], shapes[columns[part]]) for part in parts])


def aligned(shapes: Floats) -> tuple[Floats, Floats]:
    """Return shapes (n, k, 3), and their mean (k, 3), after a generalised Procrustes analysis.

    Each is centred, scaled to centroid size 1 and rotated to the mean. The landmarks of a partial shape get the
    position and the size of the same landmarks of the mean.
    """
    mean = shapes[np.isfinite(shapes).sum(axis=(1, 2)).argmax()]
    for _ in range(ROUNDS):
        mean = _unit(_known_mean(fitted_to(shapes, mean), axis=0))
    return fitted_to(shapes, mean), mean


def fitted_to(shapes: Floats, mean: Floats) -> Floats:
    """Return shapes (n, k, 3) centred, scaled and rotated to a mean shape (k, 3), by the landmarks that both have."""
    common = np.isfinite(shapes + mean)
    part, target = np.where(common, shapes, np.nan), np.where(common, mean, np.nan)
    scale = (centroid_sizes(target) / centroid_sizes(part))[:, None, None]
    return np.asarray((shapes - _middle(part)) * scale @ _rotations(_unit(part), _unit(target)) + _middle(target))


def component_correlations(found: Floats, marked: Floats) -> list[dict[str, float]]:
    """Return the leading principal components of marked shapes (n, k, 3): share of the variance and a correlation.

    The correlation is that of the scores of found and of marked shapes, with both fitted to the same mean. A landmark
    that is missing is at its mean in both.
    """
    fitted, mean = aligned(marked)
    of_marked, of_found = (
        np.nan_to_num(each - mean).reshape(len(marked), -1) for each in (fitted, fitted_to(found, mean))
    )
    _, singular, axes = np.linalg.svd(of_marked - of_marked.mean(axis=0), full_matrices=False)
    shares = singular**2 / max(float((singular**2).sum()), np.finfo(float).tiny)
    return [
        {"share": float(share), "correlation": _correlation(of_found @ axis, of_marked @ axis)}
        for share, axis in zip(shares[:COMPONENTS], axes[:COMPONENTS], strict=True)
        if share > LEAST_SHARE
    ]


def _between_objects(found: Floats, marked: Floats) -> dict[str, Any]:
    """Return how well the differences between objects are kept; null for too few objects."""
    if len(marked) < MIN_OBJECTS:
        return {"pairwise_distance": None, "distances_correlation": None, "components": []}
    chosen = np.unique(np.linspace(0, len(marked) - 1, min(MAX_OBJECTS, len(marked))).round().astype(int))
    of_found, of_marked = (pairwise_distances(shapes[chosen]) for shapes in (found, marked))
    return {
        "pairwise_distance": summary(of_marked)["mean"],
        "distances_correlation": _correlation(of_found, of_marked),
        "components": component_correlations(found, marked),
    }


def _correlation(first: Floats, second: Floats) -> float:
    """Return Pearson's correlation of numbers (n,), of which NaN is left out; 0 if either is constant."""
    known = np.isfinite(first + second)
    one, other = (each[known] - each[known].mean() for each in (first, second))
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other / norm) if norm > 0 else 0.0


def _unit(shapes: Floats) -> Floats:
    """Return shapes (..., k, 3) centred and scaled to centroid size 1; NaN stays NaN."""
    size = centroid_sizes(shapes)[..., None, None]
    return np.asarray((shapes - _middle(shapes)) / np.where(size > 0, size, 1.0))


def _rotations(first: Floats, second: Floats) -> Floats:
    """Return the rotations (..., 3, 3) by which centred shapes (..., k, 3), times them, are closest to others."""
    u, _, vt = np.linalg.svd(np.swapaxes(np.nan_to_num(first), -1, -2) @ np.nan_to_num(second))
    u[..., -1] *= np.linalg.det(u @ vt)[..., None]
    return np.asarray(u @ vt)


def _middle(points: Floats) -> Floats:
    """Return the mean (..., 1, 3) of points (..., k, 3)."""
    return np.expand_dims(_known_mean(points, axis=-2), -2)


def _known_mean(values: Floats, axis: int) -> Floats:
    """Return the mean of the values that are known along an axis; NaN if there is none."""
    count = np.isfinite(values).sum(axis=axis)
    return np.divide(np.nansum(values, axis=axis), count, out=np.full(count.shape, np.nan), where=count > 0)
