"""Find graphics cards through libEGL alone, which takes a few ms; importing pyrender takes seconds."""

import ctypes
from collections.abc import Callable
from typing import Any

EGL_EXTENSIONS = 0x3055
SOFTWARE_EXTENSION = b"EGL_MESA_device_software"
"""The extension of Mesa's software device (https://registry.khronos.org/EGL/extensions/MESA/)."""

SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software")
"""Parts of GL_RENDERER that identify a renderer on the CPU."""


def hardware_devices() -> list[int]:
    """Return the numbers of all EGL devices but Mesa's software device; empty without EGL."""
    try:
        libegl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return []
    query_devices = _function(
        libegl, b"eglQueryDevicesEXT", ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
    )
    query_string = _function(libegl, b"eglQueryDeviceStringEXT", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)
    if query_devices is None or query_string is None:
        return []
    devices, count = (ctypes.c_void_p * 64)(), ctypes.c_int(0)
    if not query_devices(len(devices), devices, ctypes.byref(count)):
        return []
    extensions = [query_string(device, EGL_EXTENSIONS) or b"" for device in devices[: count.value]]
    return [index for index, names in enumerate(extensions) if SOFTWARE_EXTENSION not in names.split()]


def is_software(gl_renderer: str) -> bool:
    """Whether a GL_RENDERER string names a software renderer."""
    return any(name in gl_renderer.lower() for name in SOFTWARE_RENDERERS)


def _function(library: ctypes.CDLL, name: bytes, result: type, *arguments: type) -> Callable[..., Any] | None:
    """Return an EGL extension function, or None if it is missing."""
    library.eglGetProcAddress.restype = ctypes.c_void_p
    library.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    address = library.eglGetProcAddress(name)
    return ctypes.CFUNCTYPE(result, *arguments)(address) if address else None
