"""Images of meshes: one interface, and two backends that return the same image.

`raster` is a rasteriser for the CPU and needs only numba. `pyrender` draws with OpenGL and is faster on a graphics
card. `featurelib.rendering.shading` defines the shading of both.
"""

from featurelib.rendering.backends import BACKENDS, open_renderer
from featurelib.rendering.shading import SHADING_VERSION
from featurelib.rendering.types import RenderedView, Renderer

__all__ = ["BACKENDS", "SHADING_VERSION", "RenderedView", "Renderer", "open_renderer"]
