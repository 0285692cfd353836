"""What every back end offers, and the choice between them."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import UsageError
from featurelib.geometry import Camera
from featurelib.meshes import Mesh
from featurelib.rendering.hardware import hardware_devices, is_software

BACKENDS = ("auto", "raster", "pyrender")


@dataclass(frozen=True, eq=False)
class Picture:
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

    def render(self, mesh: Mesh, cameras: Sequence[Camera], size: int) -> Iterator[Picture]:
        """Yield the picture, `size` pixels wide and high, of each camera; the mesh is prepared once for all."""
        ...

    def close(self) -> None:
        """Free what the renderer holds; it cannot be used afterwards."""
        ...


def open_renderer(backend: str = "auto") -> Renderer:
    """Return a back end: "raster", "pyrender", or "auto", which is pyrender on a graphics card and else raster.

    Raises:
        UsageError: if `backend` is none of BACKENDS, or is pyrender where no EGL context can be made.
    """
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    if backend == "pyrender":
        return _open_pyrender()
    on_card = _open_on_graphics_card() if backend == "auto" else None
    if on_card is not None:
        return on_card
    from featurelib.rendering.raster import RasterRenderer

    return RasterRenderer()


def _open_pyrender() -> Renderer:
    """Return the pyrender back end on the first card, or on Mesa's software renderer where there is none."""
    if "tensorflow" in sys.modules and not hardware_devices():
        raise UsageError(
            "backend pyrender: Mesa's software renderer crashes in a process with TensorFlow, since both bring an "
            "LLVM; render in a process of its own, or with raster"
        )
    try:
        from featurelib.rendering.gl import GLRenderer

        return GLRenderer(next(iter(hardware_devices()), 0))
    except Exception as error:  # drivers and PyOpenGL fail in many ways, and all mean the same
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"backend pyrender: no EGL context on this machine ({reason[:120]}); "
            "on Debian install libegl1 and libgl1-mesa-dri, or use the backend raster"
        ) from None


def _open_on_graphics_card() -> Renderer | None:
    """Return the pyrender back end if a graphics card draws for it, else None."""
    if not hardware_devices():
        return None
    try:
        from featurelib.rendering.gl import GLRenderer

        renderer = GLRenderer(hardware_devices()[0])
    except Exception:  # a card without a working driver is as good as none
        return None
    if is_software(renderer.hardware):
        renderer.close()
        return None
    return renderer
