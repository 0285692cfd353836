"""Triangulation, which needs no training; it is the method of a run without a lifter."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import GeometryError
from featurelib.geometry import SIDES, Rays, triangulate
from featurelib.models.fusion import own_side, rays_through


def triangulate_landmarks(xy: ArrayLike, centre_mm: ArrayLike, spec: RenderSpec) -> NDArray[np.float64]:
    """Return both landmarks (2, 3) in mm, object frame, from the near positions xy (v, 2) in all views.

    Each instance is triangulated from the views of its own side, in which it is the near one. The exact front view is
    not used, since either instance may be the near one there.

    Raises:
        GeometryError: if a side has fewer than two views, or parallel ones only.
    """
    rays = rays_through(spec.cameras(np.asarray(centre_mm)), np.asarray(xy))
    return np.stack([triangulate(_of_side(rays, spec, side)) for side in SIDES])


def _of_side(rays: Rays, spec: RenderSpec, side: str) -> Rays:
    own = own_side(spec.rig.views, side)
    if own.sum() < 2:
        raise GeometryError(f"the rig has {own.sum()} views of the {side} side; triangulation needs two")
    return Rays(*(part[own] for part in rays))
