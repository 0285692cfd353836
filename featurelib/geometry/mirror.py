"""Mirroring in the object's left-right plane, for image positions, views and the landmarks of a set.

The mirrored image of view i shows the mirrored object from view n - 1 - i, with the other instance near.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry.landmark_set import LandmarkSet


class Canonical(NamedTuple):
    """The channels in which a network finds the k landmarks.

    channel: (k,) index of each landmark's channel. is_mirrored: (k,) whether it is found in the mirrored object.
    num_channels: c.
    """

    channel: NDArray[np.intp]
    is_mirrored: NDArray[np.bool_]
    num_channels: int


def mirror_xy(xy: ArrayLike) -> NDArray[np.float64]:
    """Return the image positions xy (..., 2) after flipping the image horizontally: x -> 1 - x."""
    return np.asarray(xy, dtype=np.float64) * (-1, 1) + (1, 0)


def mirror_views(xy: ArrayLike) -> NDArray[np.float64]:
    """Return the near instance's positions (..., n, 2) of the mirrored object in the n views of the rig."""
    return mirror_xy(xy)[..., ::-1, :]


def mirror_permutation(landmarks: LandmarkSet) -> NDArray[np.intp] | None:
    """Return for each landmark (k,) of a mirrored object the index of the landmark that it is the mirror image of.

    -1 if the mirrored object has no such landmark; None if the mirror image is no object of this kind. This is the only
    function that knows how a mirror image is named. It is its own inverse, except for -1.
    """
    if landmarks.mirror == "none":
        return None
    order = np.arange(len(landmarks.names))
    if landmarks.mirror == "swap":
        num_paired, num_unpaired = 2 * len(landmarks.pairs), len(landmarks.unpaired)
        order[:num_paired] = order[:num_paired].reshape(-1, 2)[:, ::-1].ravel()
        order[len(order) - num_unpaired :] = -1
    return order


def canonical(landmarks: LandmarkSet) -> Canonical:
    """Return the channels of a network that sees right landmarks as left ones of the mirrored object.

    A channel is a landmark, or a pair if a mirrored object exchanges its names.
    """
    permutation = mirror_permutation(landmarks)
    order = np.arange(len(landmarks.names))
    images = order if permutation is None else np.where(permutation < 0, order, permutation)
    first = np.minimum(order, images)
    members, channel = np.unique(first, return_inverse=True)
    return Canonical(channel.astype(np.intp), images < order, len(members))


def permuted(values: ArrayLike, permutation: NDArray[np.intp], axis: int = -2) -> NDArray[Any]:
    """Return values of the k landmarks along an axis, for the mirrored object; NaN (False, 0) where it has none."""
    array = np.asarray(values)
    taken = np.take(array, permutation, axis=axis)
    missing = [slice(None)] * array.ndim
    missing[axis] = permutation < 0  # type: ignore[call-overload]  # a mask in place of a slice
    taken[tuple(missing)] = np.nan if array.dtype.kind == "f" else 0
    return taken


def mirror_landmarks(
    landmarks_mm: ArrayLike, permutation: NDArray[np.intp], centre_x_mm: float = 0.0
) -> NDArray[np.float64]:
    """Return the landmarks (..., k, 3) of the object mirrored in the plane x = centre_x_mm.

    Args:
        landmarks_mm: (..., k, 3).
        permutation: (k,) of `mirror_permutation`.
        centre_x_mm: of the plane.
    """
    mirrored = np.asarray(landmarks_mm, dtype=np.float64) * (-1, 1, 1) + (2 * centre_x_mm, 0, 0)
    return permuted(mirrored, permutation)
