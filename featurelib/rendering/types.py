"""What every back end takes and returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import Camera
from featurelib.meshes import Mesh


@dataclass(frozen=True, eq=False)
class RenderedView:
    """One rendered view.

    pixels: uint8, (H, W) grey if the mesh has neither colours nor texture, else (H, W, 3) RGB; white background.
    depth_mm: (H, W) float32 distance of the surface from the camera along its axis; infinite in the background.
    """

    pixels: NDArray[np.uint8]
    depth_mm: NDArray[np.float32]


class Renderer(Protocol):
    """A back end. It holds buffers or a GL context: use it in the thread that opened it, and close it.

    name: "raster" or "pyrender".
    """

    name: str

    def render(self, mesh: Mesh, cameras: Sequence[Camera], size: int) -> Iterator[RenderedView]:
        """Yield the image, `size` pixels wide and high, of each camera; the mesh is prepared once for all."""
        ...

    def close(self) -> None:
        """Free what the renderer holds; it cannot be used afterwards."""
        ...
