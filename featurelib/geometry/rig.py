"""The rig: the fixed views from which every object is rendered, and their lenses."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError, UsageError
from featurelib.geometry.cameras import Camera, Lens, Orthographic, Perspective
from featurelib.geometry.transforms import rigid

Projection = Literal["orthographic", "perspective"]
PROJECTIONS: tuple[Projection, ...] = ("orthographic", "perspective")

YFOV_DEG = 30.0
"""Opening angle of the perspective lens. 30 degrees is a portrait lens (65 mm on full frame) with visible
foreshortening. The camera is 1.9 image widths away, outside every object that fits into the image."""


@dataclass(frozen=True)
class View:
    """One view of the rig: azimuth about +y (positive towards the object's left, +x) and elevation towards +y."""

    azimuth_deg: float
    elevation_deg: float = 0.0

    @property
    def object_from_view(self) -> NDArray[np.float64]:
        """(3, 3) rotation whose columns are the camera's right, up and backward axes in the object frame."""
        azimuth, elevation = np.radians([self.azimuth_deg, self.elevation_deg])
        (sin_a, cos_a), (sin_e, cos_e) = (np.sin(azimuth), np.cos(azimuth)), (np.sin(elevation), np.cos(elevation))
        right = [cos_a, 0.0, -sin_a]
        up = [-sin_a * sin_e, cos_e, -cos_a * sin_e]
        backward = [sin_a * cos_e, sin_e, cos_a * cos_e]
        return np.array([right, up, backward]).T

    @property
    def near_side(self) -> str | None:
        """The side of the object that the camera is on; None for front and back views."""
        towards_left = self.object_from_view[0, 2]
        return None if abs(towards_left) < 1e-6 else "left" if towards_left > 0 else "right"

    def is_mirror_of(self, other: "View") -> bool:
        """Whether the two views are mirror images in the object's left-right plane."""
        sum_deg = (self.azimuth_deg + other.azimuth_deg) % 360
        return min(sum_deg, 360 - sum_deg) < 1e-6 and abs(self.elevation_deg - other.elevation_deg) < 1e-6


@dataclass(frozen=True)
class Rig:
    """The views, in an order that is left-right symmetric: view i and view n - 1 - i are mirror images.

    Raises:
        DataError: if there is no view, or the order is not symmetric.
    """

    views: tuple[View, ...]

    def __post_init__(self) -> None:
        if not self.views:
            raise DataError("rig: no views; expected at least one")
        for i, view in enumerate(self.views):
            partner = self.views[-1 - i]
            if not view.is_mirror_of(partner):
                raise DataError(
                    f"rig: view {i} (azimuth {view.azimuth_deg:g}) must mirror view {len(self.views) - 1 - i}; "
                    f"expected azimuth {-view.azimuth_deg:g} and the same elevation, not {partner.azimuth_deg:g}"
                )

    def __len__(self) -> int:
        return len(self.views)

    @classmethod
    def evenly(cls, num_views: int = 9, span_deg: float = 90.0) -> Self:
        """Return `num_views` views at elevation 0, with azimuth from -span to +span in equal steps."""
        return cls(tuple(View(float(azimuth)) for azimuth in np.linspace(-span_deg, span_deg, num_views)))

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = "rig") -> Self:
        """Return the rig that `to_json` wrote; errors begin with `name`.

        Raises:
            DataError: if the text is not `{"views": [{"azimuth_deg": a, "elevation_deg": e}, ...]}`.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (TypeError, KeyError, ValueError) as error:
            if isinstance(error, DataError):
                raise DataError(f"{name}: {error}") from None
            raise DataError(
                f'{name}: not a rig ({error}); expected {{"views": [{{"azimuth_deg": -90, "elevation_deg": 0}}, ...]}}'
            ) from None

    @classmethod
    def from_dict(cls, rig: Mapping[str, Any]) -> Self:
        """Return the rig that `to_dict` wrote."""
        views = (View(**view) for view in rig["views"])
        return cls(tuple(View(float(view.azimuth_deg), float(view.elevation_deg)) for view in views))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the text of a rig file."""
        return json.dumps(self.to_dict(), indent=2)

    def cameras(self, centre_mm: ArrayLike, lens: Lens, frame_mm: float) -> list[Camera]:
        """Return one camera per view, aimed at `centre_mm` (3,), where its image is `frame_mm` wide."""
        distance_mm = camera_distance_mm(lens, frame_mm)
        rotations = [view.object_from_view for view in self.views]
        return [Camera(lens, rigid(r, np.asarray(centre_mm) + distance_mm * r[:, 2])) for r in rotations]


DEFAULT_RIG = Rig.evenly()
"""Nine views, azimuth -90 to +90 degrees."""


def lens_for(projection: str, frame_mm: float) -> Lens:
    """Return the lens of a projection whose image is `frame_mm` wide at the object.

    Raises:
        UsageError: if `projection` is not one of PROJECTIONS.
    """
    if projection not in PROJECTIONS:
        raise UsageError(f"projection {projection!r}: expected one of {', '.join(PROJECTIONS)}")
    return Orthographic(frame_mm / 2) if projection == "orthographic" else Perspective(YFOV_DEG)


def camera_distance_mm(lens: Lens, frame_mm: float) -> float:
    """Return the camera's distance from the centre at which its image is `frame_mm` wide.

    The image of an orthographic camera does not depend on the distance; at 2 * frame_mm the object is in front of it.
    """
    return 2 * frame_mm if isinstance(lens, Orthographic) else frame_mm / 2 / float(lens.half_height_at(1.0))


def frame_needed_mm(points_mm: ArrayLike, centre_mm: ArrayLike, rig: Rig, projection: str) -> float:
    """Return the smallest image width in mm (at `centre_mm`) that shows all points (n, 3) in every view.

    Let h be half the width and t the tangent of half the opening angle (0 for orthographic). A point at x beside the
    axis and z towards the camera is inside the image if |x| <= (h / t - z) t, so h >= |x| + t z.
    """
    lens = lens_for(projection, 1.0)
    tangent = float(lens.half_height_at(1.0)) if isinstance(lens, Perspective) else 0.0
    offsets = (np.asarray(points_mm, dtype=np.float64) - np.asarray(centre_mm)).T  # (3, n): faster to reduce
    halves = []
    for view in rig.views:
        right, up, towards = view.object_from_view.T @ offsets
        halves.append(float((np.maximum(np.abs(right), np.abs(up)) + tangent * towards).max()))
    return 2 * max(halves)
