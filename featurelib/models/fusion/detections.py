"""Input and output of a fusion: `Detections` and `FusedPoints`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError
from featurelib.geometry import Camera, Rays, View


class Surface(NamedTuple):
    """A triangle mesh: vertices (n, 3) in mm, object frame, and faces (m, 3), the indices of their corners."""

    vertices_mm: NDArray[np.floating]
    faces: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of landmarks of one object in v views; `...` is (k,) for k landmarks, and nothing for a single one.

    rays: origins and directions (..., v, 3) through the detected positions; may be NaN where not usable.
    usable: (..., v) mask of the views that the fusion uses.
    sigma_mm: (..., v) or one number: root mean square error of a view on validation objects, along one axis of the
        image plane, at the object.
    visibility: (..., v) probability that the landmark is visible, 0 to 1; None counts as 1.
    surface: the object's mesh, or None.
    shared_mm: (...) standard deviation along one axis of the error that all views share (ViewNoise.shared_mm). It is
        part of sigma_mm, and more views do not reduce it.

    Raises:
        GeometryError: if shapes differ, or a usable view's ray or sigma is not finite.
    """

    rays: Rays
    usable: NDArray[np.bool_]
    sigma_mm: NDArray[np.float64]
    visibility: NDArray[np.float64] | None = None
    surface: Surface | None = None
    shared_mm: NDArray[np.float64] | float = 0.0

    def __post_init__(self) -> None:
        usable = np.asarray(self.usable, dtype=bool)
        sigma_mm = np.broadcast_to(np.asarray(self.sigma_mm, dtype=np.float64), usable.shape)
        object.__setattr__(self, "usable", usable)
        object.__setattr__(self, "sigma_mm", sigma_mm)
        object.__setattr__(self, "shared_mm", np.broadcast_to(np.float64(self.shared_mm), usable.shape[:-1]))
        expected = {"origins_mm": (3,), "directions": (3,), "visibility": ()}
        for name, shape in expected.items():
            values = getattr(self.rays if name in Rays._fields else self, name)
            if values is not None and np.shape(values) != usable.shape + shape:
                raise GeometryError(f"detections: {name} {np.shape(values)}, expected {usable.shape + shape}")
        if not (np.isfinite(sigma_mm[usable]).all() and (sigma_mm[usable] > 0).all()):
            raise GeometryError(f"detections: sigma_mm {sigma_mm.tolist()}, expected positive numbers where usable")
        if not all(np.isfinite(part[usable]).all() for part in self.rays):
            raise GeometryError("detections: the ray of a usable view is not finite; mark that view as not usable")

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the detections (m, v) of m landmarks, chosen by a mask (...); finite where not usable, too."""
        usable = self.usable[chosen]
        filler = np.array([0.0, 0.0, 1.0])
        return replace(
            self,
            rays=Rays(*(np.where(usable[..., None], part[chosen], filler) for part in self.rays)),
            usable=usable,
            sigma_mm=np.where(usable, self.sigma_mm[chosen], 1.0),
            visibility=None if self.visibility is None else np.asarray(self.visibility)[chosen],
            shared_mm=np.asarray(self.shared_mm)[chosen],
        )


@dataclass(frozen=True, eq=False)
class FusedPoints:
    """Landmarks in space; `...` as in Detections. NaN where the rays determine no point.

    xyz_mm: (..., 3) object frame.
    covariance_mm2: (..., 3, 3) of the error, as the method estimates it; not calibrated.
    used: (..., v) mask of the views that determine the point.
    residual_mm: (...) root mean square distance of their rays from the point.
    snap_mm: (...) distance that the snap to the surface moves the point; None if the method does not snap.
    snapped: (...) whether the point was moved to the surface. False with a snap_mm: the distance exceeds what the rays
        allow.
    """

    xyz_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64]
    used: NDArray[np.bool_]
    residual_mm: NDArray[np.float64]
    snap_mm: NDArray[np.float64] | None
    snapped: NDArray[np.bool_]

    def among(self, chosen: NDArray[np.bool_]) -> Self:
        """Return these m points as those of a mask (...) of landmarks; the others are NaN and use no view."""

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            full = np.full(chosen.shape + values.shape[1:], False if values.dtype == bool else np.nan)
            full[chosen] = values
            return full

        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        spread_values: dict[str, Any] = {name: None if v is None else spread(v) for name, v in values.items()}
        return replace(self, **spread_values)


def from_cameras(
    cameras: Sequence[Camera],
    xy: ArrayLike,
    sigma_mm: ArrayLike,
    *,
    usable: ArrayLike | None = None,
    visibility: ArrayLike | None = None,
    surface: Surface | None = None,
    shared_mm: ArrayLike = 0.0,
) -> Detections:
    """Return the detections at the detector's positions. A view without a finite position is not usable.

    Args:
        cameras: of the v views.
        xy: (..., v, 2) image positions.
        sigma_mm: (..., v) or one number, see Detections.
        usable: (..., v) mask; default: all views.
        visibility: (..., v), see Detections.
        surface: the object's mesh.
        shared_mm: see Detections.
    """
    positions = np.asarray(xy, dtype=np.float64)
    is_found = np.asarray(np.isfinite(positions).all(axis=-1))
    return Detections(
        rays_through(cameras, positions),
        is_found if usable is None else is_found & np.asarray(usable, dtype=bool),
        np.asarray(sigma_mm, dtype=np.float64),
        None if visibility is None else np.asarray(visibility, dtype=np.float64),
        surface,
        np.asarray(shared_mm, dtype=np.float64),
    )


def rays_through(cameras: Sequence[Camera], xy: NDArray[np.floating]) -> Rays:
    """Return the rays (..., v, 3) of v cameras through the image positions xy (..., v, 2)."""
    rays = [camera.backproject(position) for camera, position in zip(cameras, np.moveaxis(xy, -2, 0), strict=True)]
    return Rays(*(np.stack(parts, axis=-2) for parts in zip(*rays, strict=True)))


def own_side(views: Sequence[View], side: str, *, front: bool = False) -> NDArray[np.bool_]:
    """Return the mask (v,) of the views of one side.

    Args:
        views: of a rig.
        side: `left` or `right`.
        front: whether the exact front views are included.
    """
    return np.array([view.near_side == side or (front and view.near_side is None) for view in views])
