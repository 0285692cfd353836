"""Mirroring in the object's left-right plane, for image positions, points and sets of views.

The mirrored image of view i shows the mirrored object from view n - 1 - i, with the other instance near.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mirror_xy(xy: ArrayLike) -> NDArray[np.float64]:
    """Return the image positions xy (..., 2) after flipping the image horizontally: x -> 1 - x."""
    return np.asarray(xy, dtype=np.float64) * (-1, 1) + (1, 0)


def mirror_views(xy: ArrayLike) -> NDArray[np.float64]:
    """Return the near instance's positions (..., n, 2) of the mirrored object in the n views of the rig."""
    return mirror_xy(xy)[..., ::-1, :]


def mirror_pair(landmarks_mm: ArrayLike, centre_x_mm: float = 0.0) -> NDArray[np.float64]:
    """Return the pairs (..., 2, 3) of the object mirrored in the plane x = centre_x_mm; left becomes right."""
    return (np.asarray(landmarks_mm, dtype=np.float64) * (-1, 1, 1) + (2 * centre_x_mm, 0, 0))[..., ::-1, :]
