"""Triangulation, which needs no training; it is the method of a run without a lifter."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import GeometryError
from featurelib.geometry import SIDES, Rays, triangulate


def triangulate_pair(xy: ArrayLike, centre_mm: ArrayLike, spec: RenderSpec) -> NDArray[np.float64]:
    """Return both landmarks (2, 3) in mm, object frame, from the near positions xy (v, 2) in all views.

    Each instance is triangulated from the views of its own side, in which it is the near one. The exact front view is
    not used, since either instance may be the near one there.

    Raises:
        GeometryError: if a side has fewer than two views, or parallel ones only.
    """
    cameras = spec.cameras(np.asarray(centre_mm))
    rays = [camera.backproject(position) for camera, position in zip(cameras, np.asarray(xy), strict=True)]
    return np.stack(
        [
            triangulate(
                _stack([r for r, view in zip(rays, spec.rig.views, strict=True) if view.near_side == side], side)
            )
            for side in SIDES
        ]
    )


def _stack(rays: list[Rays], side: str) -> Rays:
    if len(rays) < 2:
        raise GeometryError(f"the rig has {len(rays)} views of the {side} side; triangulation needs two")
    return Rays(*(np.stack(parts) for parts in zip(*rays, strict=True)))
