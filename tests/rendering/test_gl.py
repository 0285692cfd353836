import subprocess
import sys

import numpy as np
import pytest

from featurelib.geometry import PROJECTIONS
from featurelib.rendering import open_renderer
from featurelib.rendering.hardware import is_software

SIZE = 256


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("shape", ["bumpy", "layered", "coloured", "textured"])
def test_both_backends_give_the_same_image(raster, pyrender, request, shape, projection, around):
    """Silhouette, shade and depth of OpenGL and of the rasteriser agree pixel by pixel."""
    mesh = request.getfixturevalue(shape)
    cameras = around(mesh, projection)[::2]

    ours, gls = raster.render(mesh, cameras, SIZE), pyrender.render(mesh, cameras, SIZE)

    for our, gl in zip(ours, gls, strict=True):
        assert our.pixels.shape == gl.pixels.shape
        inside, gl_inside = np.isfinite(our.depth_mm), np.isfinite(gl.depth_mm)
        both = inside & gl_inside
        assert both.sum() >= 0.999 * (inside | gl_inside).sum()
        assert np.abs(our.pixels[both].astype(int) - gl.pixels[both]).mean() < 0.5
        assert (our.pixels[~(inside | gl_inside)] == gl.pixels[~(inside | gl_inside)]).all()
        depth_off_mm = np.abs(our.depth_mm[both] - gl.depth_mm[both])
        assert np.median(depth_off_mm) < 1e-3
        assert np.quantile(depth_off_mm, 0.999) < 0.5


def test_two_renderers_of_one_process_do_not_disturb_each_other(pyrender, bumpy, textured, around):
    """Each has its own context, and closing one has no effect on the other."""
    cameras = around(bumpy, "perspective")[:3]
    expected = list(pyrender.render(textured, cameras, SIZE))
    other = open_renderer("pyrender")

    in_turns = list(zip(pyrender.render(textured, cameras, SIZE), other.render(bumpy, cameras, SIZE), strict=True))
    other.close()
    after = list(pyrender.render(textured, cameras, SIZE))

    for (during, _), later, first in zip(in_turns, after, expected, strict=True):
        assert (during.pixels == first.pixels).all()
        assert (later.pixels == first.pixels).all()


def test_mesas_software_renderer_does_not_share_a_process_with_tensorflow(pyrender):
    """Each loads its own LLVM, and drawing would crash the process; opening the backend is an error of one line."""
    if not is_software(pyrender.hardware):
        pytest.skip("a graphics card draws here; the crash is of Mesa's software renderer")
    code = "import tensorflow; from featurelib.rendering import open_renderer; open_renderer('pyrender')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert ended.returncode == 1
    assert "render in a separate process, or with raster" in ended.stderr
