"""How many views a second a back end renders on this machine."""

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

VARIANTS = ("raster", "pyrender", "pyrender-default")
"""Our two back ends, and pyrender as its documentation shows it: its own shader and flags, four samples a pixel."""

MARGIN = 1.1
"""Width of the image over the narrowest that holds the object in every view."""

Step = Callable[[], int]
"""Does some work and returns how much."""

_start_together: Any = None
"""In a measuring process: the barrier at which all of them wait until the last is warm."""


def views_per_second(
    variant: str,
    meshes: Sequence[Mesh],
    *,
    size: int = 512,
    projections: Sequence[str] = PROJECTIONS,
    processes: int = 1,
    seconds: float = 3.0,
) -> float:
    """Return the views that fresh processes render in a second, all together, once every one is warm.

    Each renders the default rig's views of one mesh after the other: what a render job does, without reading the
    files and encoding the images. Start it under `if __name__ == "__main__"`, since processes are spawned.

    Raises:
        UsageError: if `variant` is none of VARIANTS or cannot run on this machine.
    """
    if variant not in VARIANTS:
        raise UsageError(f"render variant {variant!r}: expected one of {', '.join(VARIANTS)}")
    return rate(view_step, (variant, meshes, size, projections), processes=processes, seconds=seconds)


def rate(make_step: Callable[..., Step], arguments: Sequence[Any], *, processes: int, seconds: float) -> float:
    """Return what fresh processes get done in a second, all together, once every one is warm.

    Args:
        make_step: called with `arguments` in each process; what it returns does some work and says how much.
        arguments: of make_step; both are sent to the processes.
        processes: how many work at once.
        seconds: for how long, at least.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_set_barrier, initargs=(barrier,)) as pool:
        jobs = [pool.submit(_rate, make_step, tuple(arguments), seconds) for _ in range(processes)]
    errors = [job.exception() for job in jobs]
    for error in sorted((e for e in errors if e), key=lambda e: isinstance(e, BrokenBarrierError)):
        raise error  # a process that failed by itself comes before those that it kept waiting
    return sum(job.result() for job in jobs)


def view_step(variant: str, meshes: Sequence[Mesh], size: int, projections: Sequence[str]) -> Step:
    """Return a step that renders one mesh in one projection, the next each time, and counts its views."""
    render = _render_function(variant)
    tasks = itertools.cycle([(mesh, _cameras(mesh, projection)) for mesh in meshes for projection in projections])

    def step() -> int:
        mesh, cameras = next(tasks)
        return render(mesh, cameras, size)

    return step


def _set_barrier(barrier: Any) -> None:
    """Keep the barrier in this process; it can only be handed over while the process starts."""
    global _start_together
    _start_together = barrier


def _rate(make_step: Callable[..., Step], arguments: tuple[Any, ...], seconds: float) -> float:
    """Return this process's work a second."""
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
    """Return what renders a mesh from some cameras and returns the number of images."""
    if variant == "pyrender-default":
        return _as_documented
    renderer = open_renderer(variant)
    return lambda mesh, cameras, size: sum(1 for _ in renderer.render(mesh, cameras, size))


@functools.cache
def _offscreen_renderer(size: int) -> Any:
    """Return pyrender's renderer with its defaults; one serves all meshes."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    import pyrender

    return pyrender.OffscreenRenderer(size, size)


def _as_documented(mesh: Mesh, cameras: Sequence[Camera], size: int) -> int:
    """Render colour and depth as pyrender's documentation does off screen: one scene, a light at the camera."""
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
