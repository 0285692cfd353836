"""Views per second of the rendering back ends on this machine."""

import functools
import itertools
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from threading import BrokenBarrierError
from typing import Any

from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Camera, Perspective, frame_needed_mm, lens_for
from featurelib.meshes import Mesh
from featurelib.rendering.backends import open_renderer
from jobs.bench.flags import VARIANTS

MARGIN = 1.1
"""Image width over the smallest width that contains the object in every view."""

Step = Callable[[], int]
"""Do one piece of work and return its number of items, such as views."""

_start_together: Any = None
"""In a measuring process: the barrier at which it waits until all processes have warmed up."""


def views_per_second(
    variant: str,
    meshes: Sequence[Mesh],
    *,
    size: int = 512,
    projections: Sequence[str] = PROJECTIONS,
    processes: int = 1,
    seconds: float = 3.0,
) -> float:
    """Return the views per second of new processes together, after all have warmed up.

    Each process renders the default rig's views of one mesh after the other, as a render job does, but neither reads
    files nor encodes images. Call it under `if __name__ == "__main__"`, because processes are spawned.

    Raises:
        UsageError: if `variant` is not in VARIANTS or cannot run on this machine.
    """
    if variant not in VARIANTS:
        raise UsageError(f"render variant {variant!r}: expected one of {', '.join(VARIANTS)}")
    return rate(view_step, (variant, meshes, size, projections), processes=processes, seconds=seconds)


def rate(make_step: Callable[..., Step], arguments: Sequence[Any], *, processes: int, seconds: float) -> float:
    """Return the items per second of new processes together, after all have warmed up.

    Args:
        make_step: returns the step that is measured; called in each process.
        arguments: arguments of `make_step`.
        processes: number of parallel processes.
        seconds: minimum duration.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_set_barrier, initargs=(barrier,)) as pool:
        jobs = [pool.submit(_rate, make_step, tuple(arguments), seconds) for _ in range(processes)]
    errors = [job.exception() for job in jobs]
    for error in sorted((e for e in errors if e), key=lambda e: isinstance(e, BrokenBarrierError)):
        raise error  # a process's own error comes before the broken barriers of the others
    return sum(job.result() for job in jobs)


def view_step(variant: str, meshes: Sequence[Mesh], size: int, projections: Sequence[str]) -> Step:
    """Return a step that renders the next mesh in the next projection and returns the number of views."""
    render = _render_function(variant)
    tasks = itertools.cycle([(mesh, _cameras(mesh, projection)) for mesh in meshes for projection in projections])

    def step() -> int:
        mesh, cameras = next(tasks)
        return render(mesh, cameras, size)

    return step


def _set_barrier(barrier: Any) -> None:
    """Store the barrier in this process; it can be passed only while the process starts."""
    global _start_together
    _start_together = barrier


def _rate(make_step: Callable[..., Step], arguments: tuple[Any, ...], seconds: float) -> float:
    """Return the items per second of this process."""
    try:
        step = make_step(*arguments)
        step()
        _start_together.wait()
    except Exception:
        _start_together.abort()
        raise
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        count += step()
    return count / (time.perf_counter() - start)


def _cameras(mesh: Mesh, projection: str) -> list[Camera]:
    """Return the default rig around a mesh."""
    frame_mm = MARGIN * frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, DEFAULT_RIG, projection)
    return DEFAULT_RIG.cameras(mesh.centre_mm, lens_for(projection, frame_mm), frame_mm)


def _render_function(variant: str) -> Callable[[Mesh, Sequence[Camera], int], int]:
    """Return a function that renders a mesh from some cameras and returns the number of images."""
    if variant == "pyrender-default":
        return _as_documented
    renderer = open_renderer(variant)
    return lambda mesh, cameras, size: sum(1 for _ in renderer.render(mesh, cameras, size))


@functools.cache
def _offscreen_renderer(size: int) -> Any:
    """Return pyrender's renderer with its defaults, shared by all meshes."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    import pyrender

    return pyrender.OffscreenRenderer(size, size)


def _as_documented(mesh: Mesh, cameras: Sequence[Camera], size: int) -> int:
    """Render colour and depth off screen as in pyrender's documentation: one scene, a light at the camera."""
    renderer = _offscreen_renderer(size)
    import pyrender
    import trimesh

    body = trimesh.Trimesh(mesh.vertices_mm, mesh.faces, vertex_normals=mesh.normals, process=False)
    scene = pyrender.Scene()
    scene.add(pyrender.Mesh.from_trimesh(body))
    for camera in cameras:
        far_mm = 2 * float(camera.depth_mm(mesh.centre_mm))
        scale = float(camera.lens.half_height_at(1.0))
        if isinstance(camera.lens, Perspective):
            lens = pyrender.PerspectiveCamera(math.radians(camera.lens.yfov_deg), znear=1.0, zfar=far_mm)
        else:
            lens = pyrender.OrthographicCamera(scale, scale, znear=1.0, zfar=far_mm)
        nodes = [scene.add(lens, pose=camera.object_from_camera)]
        nodes.append(scene.add(pyrender.DirectionalLight(intensity=3.0), pose=camera.object_from_camera))
        renderer.render(scene)
        for node in nodes:
            scene.remove_node(node)
    return len(cameras)
