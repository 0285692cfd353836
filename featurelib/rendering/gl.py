"""The GPU backend: pyrender on an EGL context, with two shaders of featurelib.

It needs no display. On a machine without a graphics card Mesa's llvmpipe draws the same images, far slower than
`raster`. Triangles that cross shading.NEAR_MM before a perspective camera are clipped there; `raster` omits them.

It replaces three parts of pyrender 0.1.45: the shaders, the multisampled frame buffer, and the conversion of depth,
which treats every camera as a perspective one.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# PyOpenGL chooses its platform on import, and only EGL works without a display.
os.environ["PYOPENGL_PLATFORM"] = "egl"
import pyrender
from OpenGL import GL
from OpenGL.EGL import eglDestroyContext
from pyrender.constants import GLTF, BufFlags, RenderFlags
from pyrender.platforms import egl
from pyrender.renderer import Renderer as PyrenderRenderer
from pyrender.shader_program import ShaderProgramCache

from featurelib.geometry import Camera, Perspective
from featurelib.meshes import Mesh
from featurelib.rendering.shading import ALBEDO, AMBIENT, BACKGROUND, NEAR_MM
from featurelib.rendering.types import RenderedView

SHADERS = Path(__file__).parent / "shaders"


class GLRenderer:
    """A renderer with its own EGL context."""

    name = "pyrender"

    def __init__(self, device_index: int = 0) -> None:
        """Create the context on the EGL device of this number; errors of the driver are raised unchanged."""
        self._platform = egl.EGLPlatform(1, 1, device=egl.get_device_by_index(device_index))
        self._platform.init_context()
        self._painter = _Painter()
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)  # the rows of an RGB texture are not padded

    @property
    def hardware(self) -> str:
        """The driver's name of the renderer (GL_RENDERER)."""
        self._platform.make_current()
        return bytes(GL.glGetString(GL.GL_RENDERER)).decode()

    def render(self, mesh: Mesh, cameras: Sequence[Camera], size: int) -> Iterator[RenderedView]:
        """Yield the image of each camera, `size` pixels wide and high; the mesh is uploaded once."""
        scene = pyrender.Scene(bg_color=np.full(4, BACKGROUND / 255))
        vertices_mm, origin_mm = mesh.in_single_precision()
        primitive = _primitive(mesh, vertices_mm)
        scene.add(pyrender.Mesh([primitive]))
        is_coloured = bool(primitive.buf_flags & (BufFlags.COLOR_0 | BufFlags.TEXCOORD_0))
        corners_mm = np.array(np.meshgrid(*mesh.bounds_mm.T)).reshape(3, -1).T  # (8, 3)
        for camera in cameras:
            frustum = _Frustum(camera, corners_mm)
            node = scene.add(frustum, pose=camera.relative_to(origin_mm).object_from_camera)
            scene.main_camera_node = node
            self._platform.make_current()
            yield self._painter.image(scene, frustum, size, is_coloured)
            scene.remove_node(node)

    def close(self) -> None:
        """Free the context."""
        self._platform.make_current()
        self._painter.delete()
        # The platform's own delete_context also ends the display, which other renderers of this process share.
        eglDestroyContext(self._platform._egl_display, self._platform._egl_context)


class _Frustum(pyrender.Camera):  # type: ignore[misc]  # pyrender has no types
    """A pyrender camera: the lens determines the projection, the mesh the near and the far plane."""

    def __init__(self, camera: Camera, corners_mm: NDArray[np.float64]) -> None:
        """Choose near and far so that they enclose the corners (8, 3) of a bounding box."""
        super().__init__()
        depths_mm = camera.depth_mm(corners_mm)
        margin_mm = 1e-3 * float(np.ptp(depths_mm)) + 1e-6 * float(np.abs(depths_mm).max()) + 1e-6
        self.lens = camera.lens
        self.near_mm, self.far_mm = float(depths_mm.min()) - margin_mm, float(depths_mm.max()) + margin_mm
        if self.is_perspective:
            self.near_mm = max(self.near_mm, NEAR_MM)
            self.far_mm = max(self.far_mm, self.near_mm + 1)

    @property
    def is_perspective(self) -> bool:
        """Whether the lens is a perspective one."""
        return isinstance(self.lens, Perspective)

    def get_projection_matrix(self, width: int | None = None, height: int | None = None) -> NDArray[np.float64]:
        """Return OpenGL's (4, 4) clip_from_camera of a square image, with depth from -1 to 1."""
        near, far = self.near_mm, self.far_mm
        scale = 1 / float(self.lens.half_height_at(1.0))
        matrix = np.diag([scale, scale, -2 / (far - near), 1.0])
        matrix[2, 3] = -(far + near) / (far - near)
        if self.is_perspective:
            matrix[2:, 2:] = [[-(far + near) / (far - near), -2 * far * near / (far - near)], [-1, 0]]
        return matrix

    def depth_mm(self, window_depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert the depth buffer (0 near, 1 far or background) to distances along the axis in mm."""
        near, far = self.near_mm, self.far_mm
        depth = window_depth.astype(np.float64)
        depth = far * near / (far - depth * (far - near)) if self.is_perspective else near + depth * (far - near)
        return np.where(window_depth == 1, np.inf, depth).astype(np.float32)


class _Painter(PyrenderRenderer):  # type: ignore[misc]  # pyrender has no types
    """pyrender's renderer with the shaders of featurelib, one sample per pixel and unmodified buffers."""

    def __init__(self) -> None:
        """Start with a frame buffer of one pixel; `image` resizes it."""
        super().__init__(1, 1)
        self._program_cache = ShaderProgramCache(shader_dir=str(SHADERS))
        self._is_coloured = False
        self._main_fb_dims: tuple[int | None, int | None] = (None, None)

    def image(self, scene: pyrender.Scene, frustum: _Frustum, size: int, is_coloured: bool) -> RenderedView:
        """Return the image of the scene's camera."""
        self.viewport_width = self.viewport_height = size
        self._is_coloured = is_coloured
        pixels, window_depth = self.render(scene, RenderFlags.OFFSCREEN)
        return RenderedView(pixels, frustum.depth_mm(window_depth))

    def _get_primitive_program(self, primitive: pyrender.Primitive, flags: int, program_flags: int) -> Any:
        """Return the shaders, compiled for the attributes of the primitive in pyrender's order."""
        present = [BufFlags.NORMAL, BufFlags.TEXCOORD_0, BufFlags.COLOR_0]
        names = [name for name, flag in zip(_LOCATIONS, present, strict=True) if primitive.buf_flags & flag]
        defines = {name: str(location) for location, name in enumerate(names, start=1)}
        defines |= {"AMBIENT_SHARE": str(AMBIENT), "PLAIN_ALBEDO": str(ALBEDO)}
        program = self._program_cache.get_program("surface.vert", "surface.frag", defines=defines)
        if not program._in_context():
            program._add_to_context()
        return program

    def _bind_lighting(self, scene: pyrender.Scene, program: Any, node: pyrender.Node, flags: int) -> None:
        """Bind no light: the shader has the headlight."""

    def _configure_main_framebuffer(self) -> None:
        """Create a frame buffer without multisampling in the attributes that pyrender binds and deletes."""
        size = (self.viewport_width, self.viewport_height)
        if self._main_fb_dims == size:
            return
        self._delete_main_framebuffer()
        self._main_cb, self._main_db = GL.glGenRenderbuffers(2)
        self._main_fb = self._main_fb_ms = GL.glGenFramebuffers(1)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._main_fb)
        for buffer, kind, place in (
            (self._main_cb, GL.GL_RGBA8, GL.GL_COLOR_ATTACHMENT0),
            (self._main_db, GL.GL_DEPTH_COMPONENT24, GL.GL_DEPTH_ATTACHMENT),
        ):
            GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, buffer)
            GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, *size)
            GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, place, GL.GL_RENDERBUFFER, buffer)
        self._main_fb_dims = size

    def _delete_main_framebuffer(self) -> None:
        """Free the frame buffer."""
        if self._main_fb is not None:
            GL.glDeleteFramebuffers(1, [self._main_fb])
            GL.glDeleteRenderbuffers(2, [self._main_cb, self._main_db])
        self._main_fb = self._main_fb_ms = self._main_cb = self._main_db = None
        self._main_fb_dims = (None, None)

    def _read_main_framebuffer(
        self, scene: pyrender.Scene, flags: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the pixels and the raw depth buffer, top row first."""
        width, height = int(self.viewport_width), int(self.viewport_height)
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._main_fb)
        depth = GL.glReadPixels(0, 0, width, height, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT, outputType=bytes)
        colours = GL.GL_RGB if self._is_coloured else GL.GL_RED
        pixels = GL.glReadPixels(0, 0, width, height, colours, GL.GL_UNSIGNED_BYTE, outputType=bytes)
        shape = (height, width, 3)[: 3 if self._is_coloured else 2]
        return (
            np.ascontiguousarray(np.frombuffer(pixels, np.uint8).reshape(shape)[::-1]),
            np.frombuffer(depth, np.float32).reshape(height, width)[::-1],
        )


_LOCATIONS = ("NORMAL_LOC", "TEXCOORD_0_LOC", "COLOR_0_LOC")


def _primitive(mesh: Mesh, vertices_mm: NDArray[np.float32]) -> pyrender.Primitive:
    """Return the mesh as a pyrender primitive with its texture, else with its colours if it has any.

    vertices_mm: (n, 3) relative to any origin.
    """
    material = pyrender.MetallicRoughnessMaterial(doubleSided=True, alphaMode="OPAQUE")
    uv = colours = None
    if mesh.uv is not None and mesh.texture is not None:
        uv = mesh.uv
        sampler = pyrender.Sampler(magFilter=GLTF.LINEAR, minFilter=GLTF.LINEAR)
        material.baseColorTexture = pyrender.Texture(source=mesh.texture, source_channels="RGB", sampler=sampler)
    elif mesh.colours is not None:
        colours = np.ones((len(mesh.colours), 4), np.float32)
        colours[:, :3] = mesh.colours / 255
    return pyrender.Primitive(
        vertices_mm, mesh.normals, indices=mesh.faces, material=material, texcoord_0=uv, color_0=colours
    )
