"""The renderers: which ones work, on which hardware, and how fast."""

from featurelib.errors import DataError
from featurelib.rendering.hardware import hardware_devices, is_software
from featurelib.validation.machine.check import Check, run_code

SIZE = 512

RASTER_RATE = 60.0
"""Views per second and core below which the numba back end is slow: busy cores reach 105 to 180."""

MEASURE = f"""
import json, time
import numpy as np
from featurelib.meshes import Mesh
from featurelib.rendering import open_renderer
from jobs.bench.renderers import view_step
from featurelib.datasets.synthetic import make_body
body = make_body(np.random.default_rng(0))
mesh = Mesh.smooth(body.vertices_mm, body.faces)
step = view_step(BACKEND, [mesh], {SIZE}, ("orthographic",))
step()
count, start = 0, time.perf_counter()
while time.perf_counter() - start < 1.0:
    count += step()
rate = count / (time.perf_counter() - start)
hardware = open_renderer(BACKEND).hardware if BACKEND == "pyrender" else ""
print(json.dumps({{"rate": rate, "hardware": hardware, "faces": len(mesh.faces)}}))
"""
"""Code that renders a synthetic body for a second."""


def check_raster() -> Check:
    """Measure how fast one core renders."""
    try:
        found = run_code(f"BACKEND = 'raster'{MEASURE}")
    except DataError as error:
        return Check("raster", "broken", str(error), "make setup; numba needs a writable cache folder")
    message = f"{found['rate']:.0f} views/s of {SIZE} px on one core ({found['faces']} faces)"
    if found["rate"] < RASTER_RATE:
        return Check("raster", "slow", message, "close other programs; a graphics card or more cores render faster")
    return Check("raster", "ok", message)


def check_gl() -> Check:
    """Measure how fast EGL renders, and name its hardware."""
    try:
        found = run_code(f"BACKEND = 'pyrender'{MEASURE}")
    except DataError as error:
        fix = "apt install libegl1 libgl1-mesa-dri; --backend raster needs neither"
        return Check("GL context", "broken", str(error), fix, is_needed=False)
    message = f"EGL, {found['hardware']}, pyrender {found['rate']:.0f} views/s of {SIZE} px"
    if is_software(found["hardware"]):
        fix = "no graphics card; --backend auto uses raster, which is faster here"
        return Check("GL context", "slow", message, fix, is_needed=False)
    return Check("GL context", "ok", message, is_needed=False)


def check_backend() -> Check:
    """Name the back end that `--backend auto` uses."""
    cards = len(hardware_devices())
    message = f"--backend auto uses {'pyrender' if cards else 'raster'}: EGL finds {cards or 'no'} graphics cards"
    return Check("renderer", "ok", message)
