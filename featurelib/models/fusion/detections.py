"""What goes into a fusion and what comes out: `Detections` and `Fused`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError
from featurelib.geometry import Camera, Rays, View

FLIP = np.diag([1.0, -1.0])
"""From image positions, whose y points down, to right and up."""


class Surface(NamedTuple):
    """A triangle mesh: vertices (n, 3) in mm, object frame, and faces (m, 3), the indices of their corners."""

    vertices_mm: NDArray[np.floating]
    faces: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Detections:
    """One landmark instance of one object, seen in v views.

    rays: origins and directions (v, 3) on which the views see it; may be NaN where not usable.
    usable: (v,) the views that count.
    sigma_mm: (v,) or one number: root mean square error of a view on validation objects, along one axis of the
        image plane, at the object.
    covariance_mm2: (v, 2, 2) the detector's own claim, along `axes`; None where it makes none.
    axes: (v, 2, 3) unit vectors of the images' right and up in the object frame; None likewise.
    visibility: (v,) how sure the detector is that it sees the instance, 0 to 1; None counts as 1.
    surface: the object's mesh, or None.
    shared_mm: standard deviation along one axis of the error that all views share (ViewNoise.shared_mm). It is
        part of sigma_mm, and more views do not average it out.

    Raises:
        GeometryError: if shapes differ, or a usable view's ray or sigma is no number.
    """

    rays: Rays
    usable: NDArray[np.bool_]
    sigma_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64] | None = None
    axes: NDArray[np.float64] | None = None
    visibility: NDArray[np.float64] | None = None
    surface: Surface | None = None
    shared_mm: float = 0.0

    def __post_init__(self) -> None:
        usable = np.asarray(self.usable, dtype=bool)
        sigma_mm = np.broadcast_to(np.asarray(self.sigma_mm, dtype=np.float64), usable.shape)
        object.__setattr__(self, "usable", usable)
        object.__setattr__(self, "sigma_mm", sigma_mm)
        expected = {"origins_mm": (3,), "directions": (3,), "covariance_mm2": (2, 2), "axes": (2, 3), "visibility": ()}
        for name, shape in expected.items():
            values = getattr(self.rays if name in Rays._fields else self, name)
            if values is not None and np.shape(values) != usable.shape + shape:
                raise GeometryError(f"detections: {name} {np.shape(values)}, expected {usable.shape + shape}")
        if not (np.isfinite(sigma_mm[usable]).all() and (sigma_mm[usable] > 0).all()):
            raise GeometryError(f"detections: sigma_mm {sigma_mm.tolist()}, expected positive numbers where usable")
        if not all(np.isfinite(part[usable]).all() for part in self.rays):
            raise GeometryError("detections: the ray of a usable view is not a number; mark that view as not usable")

    def seen(self) -> Self:
        """Return the usable views alone."""
        keep = self.usable

        def of(values: NDArray | None) -> NDArray | None:
            return None if values is None else np.asarray(values)[keep]

        return replace(
            self,
            rays=Rays(*(np.asarray(part, dtype=np.float64)[keep] for part in self.rays)),
            usable=keep[keep],
            sigma_mm=self.sigma_mm[keep],
            covariance_mm2=of(self.covariance_mm2),
            axes=of(self.axes),
            visibility=of(self.visibility),
        )


@dataclass(frozen=True, eq=False)
class Fused:
    """A landmark in space.

    xyz_mm: (3,) object frame.
    covariance_mm2: (3, 3) what the method claims of its error; believe it after calibration only.
    used: (v,) the views that the point rests on, out of all views of the detections.
    residual_mm: root mean square distance of their rays from the point.
    snap_mm: distance from the point before the snap to the surface; None where the method does not snap.
    snapped: whether xyz_mm is that point of the surface. False with a snap_mm: it lay farther than the rays allow.
    """

    xyz_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64]
    used: NDArray[np.bool_]
    residual_mm: float
    snap_mm: float | None = None
    snapped: bool = False

    @property
    def sigma_mm(self) -> float:
        """The claimed root mean square error along one axis."""
        return float(np.sqrt(np.trace(self.covariance_mm2) / 3))


def from_cameras(
    cameras: Sequence[Camera],
    xy: ArrayLike,
    sigma_mm: ArrayLike,
    *,
    at_mm: ArrayLike,
    usable: ArrayLike | None = None,
    spread_xy: ArrayLike | None = None,
    visibility: ArrayLike | None = None,
    surface: Surface | None = None,
    shared_mm: float = 0.0,
) -> Detections:
    """Return the detections of what the detector said.

    Args:
        cameras: v of them.
        xy: (v, 2) image positions.
        sigma_mm: (v,) or one number, see Detections.
        at_mm: (3,) a point near the landmark, where an image's width is turned into mm; the object's centre will do.
        usable: (v,); if not given, the views whose xy are numbers.
        spread_xy: the detector's spread in shares of the image's width: (v,) standard deviations or (v, 2, 2)
            covariances along x and y (down).
        visibility: (v,), see Detections.
        surface: the object's mesh.
        shared_mm: see Detections.
    """
    positions = np.asarray(xy, dtype=np.float64)
    rays = [camera.backproject(position) for camera, position in zip(cameras, positions, strict=True)]
    return Detections(
        Rays(np.stack([ray.origins_mm for ray in rays]), np.stack([ray.directions for ray in rays])),
        np.asarray(np.isfinite(positions).all(axis=1) if usable is None else usable, dtype=bool),
        np.asarray(sigma_mm, dtype=np.float64),
        None if spread_xy is None else _covariances_mm2(cameras, spread_xy, at_mm),
        np.stack([camera.object_from_camera[:3, :2].T for camera in cameras]),
        None if visibility is None else np.asarray(visibility, dtype=np.float64),
        surface,
        shared_mm,
    )


def _covariances_mm2(cameras: Sequence[Camera], spread_xy: ArrayLike, at_mm: ArrayLike) -> NDArray[np.float64]:
    spread = np.asarray(spread_xy, dtype=np.float64)
    covariance = spread[:, None, None] ** 2 * np.eye(2) if spread.ndim == 1 else FLIP @ spread @ FLIP
    widths_mm = [2 * float(camera.lens.half_height_at(camera.depth_mm(at_mm))) for camera in cameras]
    return covariance * np.square(widths_mm)[:, None, None]


def own_side(views: Sequence[View], side: str, *, front: bool = False) -> NDArray[np.bool_]:
    """Return the mask (v,) of the views that look at a side: `left` or `right`.

    Args:
        views: of a rig.
        side: of geometry.SIDES.
        front: whether the views that see both sides alike count too.
    """
    return np.array([view.near_side == side or (front and view.near_side is None) for view in views])
