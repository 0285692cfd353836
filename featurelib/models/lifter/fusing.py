"""Fusion of the detections of all landmarks, with the noise of each view on validation objects."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.geometry import LandmarkSet, Rays
from featurelib.models.fusion import (
    METHODS,
    NEEDS_SURFACE,
    Surface,
    ViewNoise,
    from_cameras,
    fuse,
    measure_noise,
    rays_through,
)
from featurelib.models.lifter.rays import own_views
from featurelib.models.lifter.vectors import Vectors

FUSIONS = {
    f"{name}{suffix}": (name, all_views) for suffix, all_views in (("", False), ("_all", True)) for name in METHODS
}
"""The fusion by its name in the report, and whether it uses all views. Else a landmark of a
pair is fused from the views of its side and the front; other landmarks are always fused from all views."""

ON_SURFACE = tuple(name for name, (fusion, _) in FUSIONS.items() if fusion in NEEDS_SURFACE)
"""The fusions that need the mesh."""

WITHOUT_SURFACE = tuple(name for name, (fusion, _) in FUSIONS.items() if fusion not in NEEDS_SURFACE)
"""The fusions that need no mesh."""


def usable_views(spec: RenderSpec, landmarks: LandmarkSet, *, all_views: bool) -> NDArray[np.bool_]:
    """Return the mask (k, v) of the views that a fusion uses for each landmark."""
    return np.ones((len(landmarks.names), len(spec.rig)), bool) if all_views else own_views(spec, landmarks, front=True)


def landmark_noise(validation: Vectors, spec: RenderSpec, *, all_views: bool) -> list[ViewNoise]:
    """Return the noise of each view for each of the k landmarks, on objects that the detector was not trained on.

    A landmark without a label on these objects has the noise of all landmarks together.

    Raises:
        DataError: if no landmark has a label.
    """
    usable = usable_views(spec, validation.landmarks, all_views=all_views)
    rays = [
        rays_through(spec.cameras(centre), np.moveaxis(landmarks_xy, 0, 1))
        for landmarks_xy, centre in zip(validation.landmarks_xy, validation.centre_mm, strict=True)
    ]
    origins, directions = (np.stack(parts) for parts in zip(*rays, strict=True))  # (n, k, v, 3)
    truth_mm = validation.landmarks_mm

    def noise_of(chosen: NDArray[np.intp]) -> ViewNoise:
        joined = (np.concatenate(np.moveaxis(part[:, chosen], 1, 0)) for part in (origins, directions))
        return measure_noise(
            Rays(*joined),
            np.concatenate(np.moveaxis(truth_mm[:, chosen], 1, 0)),
            np.repeat(usable[chosen], len(validation), axis=0),
        )

    every = np.arange(len(usable))
    labelled = np.asarray(np.isfinite(truth_mm).all(axis=2).any(axis=0))
    return [noise_of(every[[k]] if labelled[k] else every) for k in every]


def fused_landmarks(
    method: str,
    landmarks_xy: ArrayLike,
    centre_mm: ArrayLike,
    spec: RenderSpec,
    landmarks: LandmarkSet,
    noise: Sequence[ViewNoise],
    surface: Surface | None = None,
    visible: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the landmarks (k, 3) in mm, object frame; NaN where the rays determine no point.

    Args:
        method: of FUSIONS.
        landmarks_xy: (v, k, 2) detected positions of each landmark in each view.
        centre_mm: (3,) point in the centre of all images.
        spec: of the rendering.
        landmarks: the set.
        noise: of each landmark, for the method's views.
        surface: the object's mesh, if the method needs it.
        visible: (v, k) probability that each landmark is visible.

    Raises:
        UsageError: if the method needs a surface and there is none.
    """
    fusion, all_views = FUSIONS[method]
    detections = from_cameras(
        spec.cameras(np.asarray(centre_mm)),
        np.moveaxis(np.asarray(landmarks_xy, dtype=np.float64), 0, 1),
        np.array([each.sigma_mm for each in noise]),
        usable=usable_views(spec, landmarks, all_views=all_views),
        visibility=None if visible is None else np.asarray(visible).T,
        surface=surface,
        shared_mm=np.array([each.shared_mm for each in noise]),
    )
    return fuse(detections, fusion).xyz_mm


def surface_landmarks(
    surface: Surface,
    landmarks_xy: ArrayLike,
    visible: ArrayLike,
    centre_mm: ArrayLike,
    spec: RenderSpec,
    landmarks: LandmarkSet,
    view_noise: Mapping[bool, Sequence[ViewNoise]],
) -> dict[str, NDArray[np.float64]]:
    """Return the landmarks (k, 3) in mm by each of ON_SURFACE; NaN where the rays determine no point.

    Args:
        surface: the object's mesh.
        landmarks_xy: (v, k, 2) detected positions of each landmark in each view.
        visible: (v, k) probability that each landmark is visible.
        centre_mm: (3,) point in the centre of all images.
        spec: of the rendering.
        landmarks: the set.
        view_noise: of each landmark, by whether all views are used; if empty, the result is empty.
    """
    return {
        method: fused_landmarks(
            method, landmarks_xy, centre_mm, spec, landmarks, view_noise[FUSIONS[method][1]], surface, visible
        )
        for method in (ON_SURFACE if view_noise else ())
    }
