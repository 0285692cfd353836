"""The interface of all backends."""

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
    """A backend. It holds buffers or a GL context: use it only in the thread that opened it, and close it.

    name: "raster" or "pyrender".
    """

    name: str

    def render(self, mesh: Mesh, cameras: Sequence[Camera], size: int) -> Iterator[RenderedView]:
        """Yield the image of each camera, `size` pixels wide and high; the mesh is prepared once for all cameras."""
        ...

    def close(self) -> None:
        """Free the buffers or the context; the renderer cannot be used afterwards."""
        ...
