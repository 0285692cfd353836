"""Homogeneous 4 x 4 transforms.

A transform is named `a_from_b`, so that adjacent names in a chain match:
`a_from_c = a_from_b @ b_from_c`, and `points_a = apply(a_from_b, points_b)`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rigid(rotation: ArrayLike, translation: ArrayLike = (0, 0, 0)) -> NDArray[np.float64]:
    """Return the (4, 4) transform that applies `rotation` (3, 3) and then adds `translation` (3,)."""
    a_from_b = np.eye(4)
    a_from_b[:3, :3] = rotation
    a_from_b[:3, 3] = translation
    return a_from_b


def apply(a_from_b: NDArray[np.floating], points_b: ArrayLike) -> NDArray[np.float64]:
    """Return points (..., 3) of frame b in frame a."""
    return np.asarray(points_b, dtype=np.float64) @ a_from_b[:3, :3].T + a_from_b[:3, 3]


def inverse(a_from_b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return `b_from_a` (4, 4)."""
    return np.linalg.inv(a_from_b)
