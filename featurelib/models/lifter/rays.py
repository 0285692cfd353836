"""Triangulation, which needs no training; it is the method of a run without a lifter."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.geometry import SIDES, LandmarkSet, Rays
from featurelib.models.fusion import own_side, rays_through
from featurelib.models.fusion.lines import determine_a_point, least_squares_point


def triangulate_landmarks(
    xy: ArrayLike, centre_mm: ArrayLike, spec: RenderSpec, landmarks: LandmarkSet
) -> NDArray[np.float64]:
    """Return the landmarks (k, 3) in mm, object frame, from the near positions xy (s, v, 2) of each slot in all views.

    A landmark of a pair is triangulated from the views of its own side, in which it is the near one. The exact front
    view is not used, since either of a pair may be the near one there. Other landmarks are triangulated from all views.
    A landmark is NaN if it has fewer than two views, or parallel ones only.
    """
    rays = rays_through(spec.cameras(np.asarray(centre_mm)), np.asarray(xy, dtype=np.float64))
    rays = Rays(*(part[landmarks.slot_of] for part in rays))
    usable = own_views(spec, landmarks) & np.isfinite(rays.directions).all(axis=-1)
    found = np.full((len(usable), 3), np.nan)
    answered = determine_a_point(rays, usable)
    own = Rays(*(np.where(usable[..., None], part, 0.0)[answered] for part in rays))
    found[answered] = least_squares_point(own, usable[answered])
    return found


def own_views(spec: RenderSpec, landmarks: LandmarkSet, *, front: bool = False) -> NDArray[np.bool_]:
    """Return the mask (k, v) of the views of each landmark's side; all views of a landmark without a side.

    Args:
        spec: with the rig.
        landmarks: the set.
        front: whether the exact front views are included.
    """
    views = {side: own_side(spec.rig.views, side, front=front) for side in SIDES}
    every = np.ones(len(spec.rig), dtype=bool)
    return np.stack([views[side] if side else every for side in landmarks.sides])
