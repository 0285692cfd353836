"""Open a rendering backend by name."""

import sys

from featurelib.errors import UsageError
from featurelib.rendering.hardware import hardware_devices, is_software
from featurelib.rendering.types import Renderer

BACKENDS = ("auto", "raster", "pyrender")


def open_renderer(backend: str = "auto") -> Renderer:
    """Return a backend: "raster", "pyrender", or "auto", which is pyrender on a graphics card and raster elsewhere.

    Raises:
        UsageError: if `backend` is not one of BACKENDS, or is pyrender and no EGL context can be created.
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
    """Return the pyrender backend on the first graphics card, or on Mesa's software renderer without one."""
    if "tensorflow" in sys.modules and not hardware_devices():
        raise UsageError(
            "backend pyrender: Mesa's software renderer crashes in a process with TensorFlow, because each loads its "
            "own LLVM; render in a separate process, or with raster"
        )
    try:
        from featurelib.rendering.gl import GLRenderer

        return GLRenderer(next(iter(hardware_devices()), 0))
    except Exception as error:  # noqa: BLE001 (drivers and PyOpenGL raise many types for one fault)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"backend pyrender: no EGL context on this machine ({reason[:120]}); "
            "on Debian install libegl1 and libgl1-mesa-dri, or use the backend raster"
        ) from None


def _open_on_graphics_card() -> Renderer | None:
    """Return the pyrender backend on the first graphics card; None without a card that works."""
    if not hardware_devices():
        return None
    try:
        from featurelib.rendering.gl import GLRenderer

        renderer = GLRenderer(hardware_devices()[0])
    except Exception:  # noqa: BLE001 (a card without a working driver counts as no card)
        return None
    if is_software(renderer.hardware):
        renderer.close()
        return None
    return renderer
