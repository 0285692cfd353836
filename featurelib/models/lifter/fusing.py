"""Fusion of the detections of both instances, with the noise of each view on validation objects."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import GeometryError
from featurelib.geometry import SIDES, Rays
from featurelib.models.fusion import (
    METHODS,
    NEEDS_SURFACE,
    Surface,
    ViewNoise,
    from_cameras,
    fuse,
    measure_noise,
    own_side,
    rays_through,
)
from featurelib.models.lifter.vectors import Vectors

FUSIONS = {
    f"{name}{suffix}": (name, all_views) for suffix, all_views in (("", False), ("_all", True)) for name in METHODS
}
"""The fusion by its name in the report, and whether it uses all views or only the instance's side and the front."""

ON_SURFACE = tuple(name for name, (fusion, _) in FUSIONS.items() if fusion in NEEDS_SURFACE)
"""The fusions that need the mesh."""

WITHOUT_SURFACE = tuple(name for name, (fusion, _) in FUSIONS.items() if fusion not in NEEDS_SURFACE)
"""The fusions that need no mesh."""


def usable_views(spec: RenderSpec, side: str, *, all_views: bool) -> NDArray[np.bool_]:
    """Return the mask (v,) of the views that a fusion uses for an instance."""
    return np.ones(len(spec.rig), bool) if all_views else own_side(spec.rig.views, side, front=True)


def side_noise(validation: Vectors, spec: RenderSpec, side: str, *, all_views: bool) -> ViewNoise:
    """Return the noise of each view for an instance, measured on objects that the detector was not trained on."""
    k = SIDES.index(side)
    usable = usable_views(spec, side, all_views=all_views)
    rays = [
        rays_through(spec.cameras(centre), landmarks_xy[:, k])
        for landmarks_xy, centre in zip(validation.landmarks_xy, validation.centre_mm, strict=True)
    ]
    return measure_noise(
        Rays(np.stack([ray.origins_mm for ray in rays]), np.stack([ray.directions for ray in rays])),
        validation.landmarks_mm[:, k],
        np.broadcast_to(usable, (len(validation), len(usable))),
    )


def fused_landmarks(
    method: str,
    landmarks_xy: ArrayLike,
    centre_mm: ArrayLike,
    spec: RenderSpec,
    noise: Sequence[ViewNoise],
    surface: Surface | None = None,
    visible: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return both landmarks (2, 3) in mm, object frame.

    Args:
        method: of FUSIONS.
        landmarks_xy: (v, 2, 2) detected positions of left and right in each view.
        centre_mm: (3,) point in the centre of all images.
        spec: of the rendering.
        noise: of the left and the right instance, for the method's views.
        surface: the object's mesh, if the method needs it.
        visible: (v, 2) probability that each instance is visible.

    Raises:
        UsageError: if the method needs a surface and there is none.
        GeometryError: if there are fewer than two usable rays, or parallel ones only.
    """
    fusion, all_views = FUSIONS[method]
    cameras, positions = spec.cameras(np.asarray(centre_mm)), np.asarray(landmarks_xy)
    points = []
    for k, side in enumerate(SIDES):
        detections = from_cameras(
            cameras,
            positions[:, k],
            noise[k].sigma_mm,
            usable=usable_views(spec, side, all_views=all_views),
            visibility=None if visible is None else np.asarray(visible)[:, k],
            surface=surface,
            shared_mm=noise[k].shared_mm,
        )
        points.append(fuse(detections, fusion).xyz_mm)
    return np.stack(points)


def surface_landmarks(
    surface: Surface,
    landmarks_xy: ArrayLike,
    visible: ArrayLike,
    centre_mm: ArrayLike,
    spec: RenderSpec,
    view_noise: Mapping[bool, Sequence[ViewNoise]],
) -> dict[str, NDArray[np.float64]]:
    """Return both landmarks (2, 3) in mm by each of ON_SURFACE; NaN if the fusion raises GeometryError.

    Args:
        surface: the object's mesh.
        landmarks_xy: (v, 2, 2) detected positions of left and right in each view.
        visible: (v, 2) probability that each instance is visible.
        centre_mm: (3,) point in the centre of all images.
        spec: of the rendering.
        view_noise: of left and right, by whether all views are used; if empty, the result is empty.
    """
    estimates_mm = {}
    for method in ON_SURFACE if view_noise else ():
        noise = view_noise[FUSIONS[method][1]]
        try:
            estimates_mm[method] = fused_landmarks(method, landmarks_xy, centre_mm, spec, noise, surface, visible)
        except GeometryError:
            estimates_mm[method] = np.full((2, 3), np.nan)
    return estimates_mm
