"""Everything that shapes the pixels of a rendered dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import Alignment, Camera, Lens, Rig, lens_for
from featurelib.rendering import SHADING_VERSION


@dataclass(frozen=True)
class RenderSpec:
    """What shapes the images of one projection and their labels.

    unit, alignment: from source frame to object frame.
    projection: of PROJECTIONS. frame_mm: the image's width in mm at the object's centre.
    image_size: width and height in pixels. rig: the views. backend: the renderer's name.
    shading: version of the shading model.
    """

    unit: str
    alignment: Alignment
    projection: str
    frame_mm: float
    image_size: int
    rig: Rig
    backend: str
    shading: int = SHADING_VERSION

    @property
    def lens(self) -> Lens:
        """The lens of all views."""
        return lens_for(self.projection, self.frame_mm)

    @property
    def object_from_source(self) -> NDArray[np.float64]:
        """(4, 4) from the mesh files' frame and unit to the object frame in mm."""
        return self.alignment.object_from_source(self.unit)

    def object_from_source_of(self, rotation_wxyz: Sequence[float] | None) -> NDArray[np.float64]:
        """(4, 4) from the mesh file of an object with its own rotation to the object frame in mm."""
        return self.alignment.with_rotation(rotation_wxyz).object_from_source(self.unit)

    def cameras(self, centre_mm: NDArray[np.floating]) -> list[Camera]:
        """Return the rig's cameras about an object's centre (3,)."""
        return self.rig.cameras(centre_mm, self.lens, self.frame_mm)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "alignment": self.alignment.to_dict(), "rig": self.rig.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the spec that `to_dict` wrote."""
        alignment, rig = Alignment.from_dict(values["alignment"]), Rig.from_dict(values["rig"])
        return replace(cls(**values), alignment=alignment, rig=rig)
