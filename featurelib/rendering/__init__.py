"""Images of meshes: one small interface, two back ends that give the same image.

`raster` is our own rasteriser for the processor and needs nothing but numba. `pyrender` draws with OpenGL and is
the right choice where there is a graphics card. How a surface is shaded is written in `featurelib.rendering.shading`.
"""

from featurelib.rendering.backends import BACKENDS, open_renderer
from featurelib.rendering.shading import SHADING_VERSION
from featurelib.rendering.types import RenderedView, Renderer

__all__ = ["BACKENDS", "SHADING_VERSION", "RenderedView", "Renderer", "open_renderer"]
