"""The shots of a stage: which crops are taken of an object, so that each landmark is seen from enough directions.

Landmarks that lie together share crops. A shot aims at the middle of some landmarks, and each landmark is read from
every crop that shows it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import View
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.sides import FLIPS, Sides

READ = 0.38
"""A landmark is read from a crop if its estimate is at most this share of the width from the centre along each image
axis; in training, landmarks are labelled a little farther out."""

PLANNED = 0.3
"""The same share of the mean points when shots are chosen, so that objects of other shapes are read too."""

TOGETHER = 0.25
"""Landmarks that one shot aims at lie at most this share of the crop's width from their middle, so that they are in the
part that is read on objects of other shapes too."""


class Shot(NamedTuple):
    """A crop of an object: the channels whose middle is its centre, and its view."""

    aim: tuple[int, ...]
    view: View


def landmark_groups(points_mm: NDArray[np.float64], width_mm: float) -> list[tuple[int, ...]]:
    """Return groups of channels that one shot can aim at, for mean points (c, 3); NaN is in no group.

    Each step takes the point that has most ungrouped ones around it.
    """
    distances = np.linalg.norm(points_mm[:, None] - points_mm, axis=-1)
    near = distances <= TOGETHER * width_mm
    left, groups = np.isfinite(points_mm).all(axis=1), []
    while left.any():
        members = near[np.argmax((near & left).sum(axis=1) * left)] & left
        groups.append(tuple(np.flatnonzero(members).tolist()))
        left &= ~members
    return groups


def candidate_shots(groups: Sequence[tuple[int, ...]], directions: Directions) -> tuple[Shot, ...]:
    """Return all shots of the groups from the views that show one of their landmarks."""
    return tuple(
        Shot(aim, view)
        for aim in groups
        for view, shows in zip(directions.views, directions.shows.T, strict=True)
        if shows[list(aim)].any()
    )


def in_crop(
    view: View, centre_mm: NDArray[np.float64], points_mm: NDArray[np.float64], width_mm: float, share: float = READ
) -> NDArray[np.bool_]:
    """Return whether points (n, 3) are in the middle part of a crop, up to a share of the width, (n,)."""
    offsets = np.abs((points_mm - centre_mm) @ view.object_from_view) / width_mm
    return np.asarray((offsets <= (share, share, 0.5)).all(axis=1))


def choose_shots(
    shots: Sequence[Shot],
    variances_mm2: NDArray[np.float64],
    sides: Sides,
    points_mm: NDArray[np.float64],
    width_mm: float,
    count: int,
) -> list[int]:
    """Return the indices of `count` shots, chosen greedily for the most accurate points.

    Each step adds the shot that minimises the sum over channels of the root of the trace of the point's covariance, for
    independent errors. The first shots therefore show each landmark from two directions. A second shot of a landmark
    from the same view adds nothing.

    Args:
        shots: candidates.
        variances_mm2: (shots, c) of a ray of each channel along one image axis; infinite if it is not read.
        sides: in which landmarks are refined.
        points_mm: (c, 3) mean points.
        width_mm: of the crops.
        count: number of shots.
    """
    views = list(dict.fromkeys(shot.view for shot in shots))
    view_of = np.array([views.index(shot.view) for shot in shots])
    reads = np.isfinite(variances_mm2) & _shown(shots, points_mm, width_mm)
    across = _projectors(views, sides)[view_of] / variances_mm2[..., None, None]  # (shots, c, 3, 3)
    highest = np.max(variances_mm2, where=reads, axis=0, initial=1e-9)
    information = np.eye(3) * 1e-3 / highest[:, None, None]  # one ray alone determines no point
    reads &= np.isfinite(points_mm).all(axis=1)
    chosen: list[int] = []
    for _ in range(min(count, len(shots))):
        now = np.sqrt(np.trace(np.linalg.inv(information), axis1=1, axis2=2))
        gains = np.zeros(reads.shape)
        gains[reads] = (now - np.sqrt(_trace_of_inverse(information + across)))[reads]
        gains = gains.sum(axis=1)
        gains[chosen] = -np.inf
        best = int(np.argmax(gains))
        chosen.append(best)
        information = np.where(reads[best][:, None, None], information + across[best], information)
        reads[view_of == view_of[best]] &= ~reads[best]
    return chosen


def _shown(shots: Sequence[Shot], points_mm: NDArray[np.float64], width_mm: float) -> NDArray[np.bool_]:
    """Return whether each shot of the mean points shows each of them in the part that is read, (shots, c)."""
    middles = [points_mm[list(shot.aim)].mean(axis=0) for shot in shots]
    shown = [
        in_crop(shot.view, middle, points_mm, width_mm, PLANNED) for shot, middle in zip(shots, middles, strict=True)
    ]
    aimed = [np.isin(np.arange(len(points_mm)), shot.aim) for shot in shots]
    return np.array(shown) | aimed


def _projectors(views: Sequence[View], sides: Sides) -> NDArray[np.float64]:
    """Return the planes perpendicular to the rays of each view for each channel, (v, c, 3, 3).

    A midline landmark is read on both sides, so it has the rays of the mirrored view too.
    """
    axes = np.array([view.object_from_view[:, 2] for view in views])
    own, mirrored = (np.eye(3) - a[:, :, None] * a[:, None, :] for a in (axes, axes * FLIPS[1]))
    is_twice = (sides.landmark == sides.landmark[0]).all(axis=0) & (len(sides.landmark) > 1)
    return own[:, None] + mirrored[:, None] * is_twice[:, None, None]


def _trace_of_inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the traces of the inverses of symmetric matrices (..., 3, 3): the sum of the minors by the determinant."""
    a, b, c = (matrices[..., i, i] for i in range(3))
    d, e, f = matrices[..., 0, 1], matrices[..., 0, 2], matrices[..., 1, 2]
    minors = a * b - d * d + a * c - e * e + b * c - f * f
    determinants = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    return np.asarray(minors / determinants)
