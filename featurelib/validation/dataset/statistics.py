"""Statistics over the objects of a dataset, and over the pairs of one of them; what is not labelled is NaN."""

import warnings
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.meshes.shape import SIGMAS_PER_MAD
from featurelib.validation.dataset.measure import Labelled

ONE_PLACE = 0.005
"""Left and right closer to each other than this share of the object's size are one point."""


class Spread(NamedTuple):
    """The median of some numbers and a robust standard deviation."""

    median: float
    sigma: float

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Return median and scaled median absolute deviation of numbers (n,), n > 0."""
        numbers = np.asarray(values, dtype=np.float64)
        median = float(np.median(numbers))
        return cls(median, SIGMAS_PER_MAD * float(np.median(np.abs(numbers - median))))


def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the medians over the first axis without NaN; NaN where all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices without a number
        return np.asarray(np.nanmedian(values, axis=0))


def across(landmarks: NDArray[np.float64], pairs: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the vectors (p, 3) from right to left of the pairs; NaN without both."""
    return np.asarray(landmarks[pairs[:, 0]] - landmarks[pairs[:, 1]])


def opposite(vectors: NDArray[np.float64], axes: NDArray[np.float64]) -> list[int]:
    """Return the indices of the vectors (p, 3) that are by more than 120 degrees from their axes (p, 3)."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(axes, axis=1)
    cosines = (vectors * axes).sum(axis=1) / np.maximum(lengths, 1e-12)
    return np.flatnonzero(cosines < -0.5).tolist()


def same_place(labels: Labelled, size_mm: float, pairs: NDArray[np.intp]) -> tuple[int, int] | None:
    """Return a pair closer than ONE_PLACE, or two landmarks at exactly the same point; None without any."""
    apart_mm = np.linalg.norm(across(labels.landmarks_mm, pairs), axis=1)
    for left, right in pairs[apart_mm < ONE_PLACE * size_mm]:
        return int(left), int(right)
    seen: dict[tuple[float, ...], int] = {}
    for i in np.flatnonzero(labels.is_labelled):
        first = seen.setdefault(tuple(labels.landmarks_mm[i]), int(i))
        if first != i:
            return first, int(i)
    return None
