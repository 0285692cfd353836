"""Landmarks check each other: the mean shape, moved onto all estimates, replaces those that are far off or missing."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_LANDMARKS = 8
"""Fewest landmarks of a set that are checked against each other."""

MIN_FITTED = 4
"""Fewest landmarks that determine the similarity."""

LIMIT = 5.0
"""An estimate is far off beyond this multiple of the landmark's median distance from the moved mean shape; with normal
deviations one in 10^13 is."""

ROUNDS = 8


Points = NDArray[np.float64]


class MeanShape(NamedTuple):
    """The mean of k landmarks.

    points_mm: (k, 3). typical_mm: (k,) median distances of true landmarks from the mean moved onto their object.
    """

    points_mm: NDArray[np.float64]
    typical_mm: NDArray[np.float64]

    @classmethod
    def fit(cls, points_mm: ArrayLike, truths_mm: ArrayLike) -> Self:
        """Return the mean shape of points (k, 3), with the distances of n objects' landmarks (n, k, 3), NaN unknown."""
        points_mm, truths_mm = np.asarray(points_mm, np.float64), np.asarray(truths_mm, np.float64)
        placed = np.array([moved_onto(points_mm, truth, np.full(len(points_mm), np.nan)) for truth in truths_mm])
        distances = np.linalg.norm(placed - truths_mm, axis=-1)
        known = np.isfinite(distances)
        overall = float(np.median(distances[known])) if known.any() else np.inf
        rows = zip(distances.T, known.any(axis=0), strict=True)
        medians = [np.nanmedian(of_one) if any_known else overall for of_one, any_known in rows]
        return cls(points_mm, np.maximum(medians, overall / 2))

    def placed(self, estimates_mm: ArrayLike) -> NDArray[np.float64]:
        """Return the mean landmarks (k, 3), moved onto estimates (k, 3) by a robust similarity.

        NaN if fewer than MIN_FITTED estimates are known.
        """
        return moved_onto(self.points_mm, np.asarray(estimates_mm, dtype=np.float64), self.typical_mm)

    def repaired(self, estimates_mm: ArrayLike) -> NDArray[np.float64]:
        """Return estimates (k, 3), of which those far off or missing are replaced by the moved mean landmarks.

        A set of fewer than MIN_LANDMARKS is returned unchanged.
        """
        estimates_mm = np.array(estimates_mm, dtype=np.float64)
        if len(estimates_mm) < MIN_LANDMARKS:
            return estimates_mm
        placed = self.placed(estimates_mm)
        is_near = np.linalg.norm(estimates_mm - placed, axis=-1) <= LIMIT * self.typical_mm
        replaced = ~is_near & np.isfinite(placed).all(axis=-1)
        estimates_mm[replaced] = placed[replaced]
        return estimates_mm


def moved_onto(points: Points, onto: Points, typical: NDArray[np.float64]) -> Points:
    """Return points (k, 3) moved onto others by iteratively reweighted least squares (Cauchy), scaled by `typical`.

    Umeyama, Least-squares estimation of transformation parameters between two point patterns, 1991.
    """
    known = np.isfinite(onto).all(axis=-1) & np.isfinite(points).all(axis=-1)
    if known.sum() < MIN_FITTED:
        return np.full_like(points, np.nan)
    a, b, weights = points[known], onto[known], np.ones(int(known.sum()))
    for _ in range(ROUNDS):
        shares = (weights / weights.sum())[:, None]
        middle_a, middle_b = (shares * a).sum(axis=0), (shares * b).sum(axis=0)
        from_a = a - middle_a
        u, values, vt = np.linalg.svd((shares * (b - middle_b)).T @ from_a)
        signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        rotation, scale = (u * signs) @ vt, (values * signs).sum() / (shares * from_a**2).sum()
        distances = np.linalg.norm(scale * from_a @ rotation.T + middle_b - b, axis=1)
        sigma = np.where(np.isnan(typical[known]), np.median(distances), typical[known])
        weights = 1 / (1 + (distances / np.maximum(2 * sigma, 1e-9)) ** 2)
    return np.asarray(scale * (points - middle_a) @ rotation.T + middle_b)
