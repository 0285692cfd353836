"""The alignment: from the axes and unit of a mesh file (source frame) to the object frame in millimetres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError, GeometryError
from featurelib.geometry.quaternions import matrix_from_wxyz
from featurelib.geometry.transforms import rigid

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}


@dataclass(frozen=True)
class Alignment:
    """Rotations (w, x, y, z; applied in this order) and a scale, from `dataset.json`."""

    rotations_wxyz: tuple[tuple[float, float, float, float], ...] = ()
    scale: float = 1.0

    @classmethod
    def from_dict(cls, alignment: Mapping[str, Any], *, name: str = "alignment") -> Self:
        """Return the alignment of the `alignment` entry of a `dataset.json`; errors begin with `name`.

        Raises:
            DataError: if a key is unknown, a rotation is not a quaternion or the scale is not a positive number.
        """
        if not isinstance(alignment, Mapping) or not {"rotations_wxyz", "scale"}.issuperset(alignment):
            raise DataError(f'{name}: {alignment}; expected {{"rotations_wxyz": [[w, x, y, z], ...], "scale": 1.0}}')
        try:
            rotations = [tuple(float(value) for value in wxyz) for wxyz in alignment.get("rotations_wxyz", ())]
            scale = float(alignment.get("scale", 1.0))
            for wxyz in rotations:
                matrix_from_wxyz(wxyz)
        except (TypeError, ValueError, GeometryError) as error:
            raise DataError(
                f"{name}: {error}; expected rotations_wxyz as a list of [w, x, y, z] and scale as a number"
            ) from None
        if not 0 < scale < float("inf"):
            raise DataError(f"{name}: scale {scale:g}; expected a positive number")
        return cls(tuple(rotations), scale)  # type: ignore[arg-type]  # matrix_from_wxyz has checked that each has length 4

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, as in `dataset.json`."""
        return {"rotations_wxyz": [list(wxyz) for wxyz in self.rotations_wxyz], "scale": self.scale}

    def with_rotation(self, wxyz: Sequence[float] | None) -> Self:
        """Return the alignment with one more rotation, applied last; None returns the alignment itself."""
        if wxyz is None:
            return self
        w, x, y, z = wxyz
        return replace(self, rotations_wxyz=(*self.rotations_wxyz, (w, x, y, z)))

    def object_from_source(self, unit: str) -> NDArray[np.float64]:
        """Return the (4, 4) transform from the source frame in `unit` to the object frame in mm.

        Raises:
            DataError: if `unit` is not one of MM_PER_UNIT.
        """
        if unit not in MM_PER_UNIT:
            raise DataError(f"unit {unit!r}: expected one of {', '.join(MM_PER_UNIT)}")
        rotation = np.eye(3)
        for wxyz in self.rotations_wxyz:
            rotation = matrix_from_wxyz(wxyz) @ rotation
        return rigid(rotation * self.scale * MM_PER_UNIT[unit])
