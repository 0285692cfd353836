"""Cameras: a lens (orthographic or perspective) and a pose in the object frame.

Camera frame: +x is to the image's right, +y to its top and +z out of the image, towards the viewer. The optical axis
is -z, as in OpenGL, glTF and Three.js.

Image position `xy`: (0, 0) is the top-left corner of the square image and (1, 1) its bottom-right corner. The centre
of pixel i of W is at (i + 0.5) / W, so that mirroring is exactly x -> 1 - x.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError
from featurelib.geometry.transforms import apply, inverse, rigid


@dataclass(frozen=True)
class Orthographic:
    """A lens with parallel rays: an object's size in the image does not depend on its distance.

    half_height_mm: half the image's height (and width) in millimetres.
    """

    half_height_mm: float

    def half_height_at(self, depth_mm: ArrayLike) -> NDArray[np.float64]:
        """Return half the image's height in mm at the given depths (...,), which is constant."""
        return np.full_like(np.asarray(depth_mm, dtype=np.float64), self.half_height_mm)


@dataclass(frozen=True)
class Perspective:
    """A pinhole lens.

    yfov_deg: the angle between the top and the bottom edge of the image, in degrees.
    """

    yfov_deg: float

    def half_height_at(self, depth_mm: ArrayLike) -> NDArray[np.float64]:
        """Return half the image's height in mm at the given depths (...,), in mm from the pinhole."""
        return np.asarray(depth_mm, dtype=np.float64) * np.tan(np.radians(self.yfov_deg) / 2)


Lens = Orthographic | Perspective


class Rays(NamedTuple):
    """Half-lines in the object frame: `origins_mm` (..., 3) and unit `directions` (..., 3)."""

    origins_mm: NDArray[np.float64]
    directions: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """A lens at a pose.

    lens: orthographic or perspective.
    object_from_camera: (4, 4) rigid transform, camera frame to object frame, mm.
    """

    lens: Lens
    object_from_camera: NDArray[np.float64]

    @property
    def camera_from_object(self) -> NDArray[np.float64]:
        """(4, 4) rigid transform, object frame to camera frame, mm."""
        return inverse(self.object_from_camera)

    @property
    def position_mm(self) -> NDArray[np.float64]:
        """(3,) position of the camera, object frame."""
        return self.object_from_camera[:3, 3]

    def relative_to(self, origin_mm: NDArray[np.float64]) -> Self:
        """Return the camera in the object frame moved to an origin (3,)."""
        return replace(self, object_from_camera=rigid(self.object_from_camera[:3, :3], self.position_mm - origin_mm))

    @property
    def axis(self) -> NDArray[np.float64]:
        """(3,) unit vector of the optical axis, object frame."""
        return -self.object_from_camera[:3, 2]

    def depth_mm(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Return the distance (...,) of points (..., 3) from the camera along its axis."""
        return (np.asarray(points_mm, dtype=np.float64) - self.position_mm) @ self.axis

    def project(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Return the image positions xy (..., 2) of points (..., 3); values outside [0, 1] are outside the image.

        Raises:
            GeometryError: if the camera is perspective and a point is not in front of it.
        """
        points_camera = apply(self.camera_from_object, points_mm)
        depth_mm = -points_camera[..., 2]
        if isinstance(self.lens, Perspective) and (depth_mm <= 0).any():
            raise GeometryError(f"a point is {-depth_mm.min():.1f} mm behind the perspective camera")
        right_up = points_camera[..., :2] / self.lens.half_height_at(depth_mm)[..., None]
        return right_up * (0.5, -0.5) + 0.5

    def backproject(self, xy: ArrayLike) -> Rays:
        """Return the rays from the camera that project to the image positions xy (..., 2)."""
        right_up = (np.asarray(xy, dtype=np.float64) - 0.5) * (2, -2) * self.lens.half_height_at(1.0)
        plane, zero = np.concatenate([right_up, np.zeros_like(right_up[..., :1])], -1), np.zeros(3)
        ahead = np.array([0.0, 0.0, -1.0])
        starts, steps = (
            (plane, ahead + 0 * plane) if isinstance(self.lens, Orthographic) else (zero + 0 * plane, plane + ahead)
        )
        directions = steps @ self.object_from_camera[:3, :3].T
        return Rays(
            apply(self.object_from_camera, starts), directions / np.linalg.norm(directions, axis=-1, keepdims=True)
        )
