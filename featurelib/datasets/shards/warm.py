"""Preloaded by the fork server of render processes: importing this module renders once.

The processes then start with numba imported and the rasteriser's compiled code loaded, in 50 ms instead of 3 s.
"""

import numpy as np

import featurelib.datasets.shards.sandboxed  # noqa: F401 (what the processes run)
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, lens_for
from featurelib.meshes import Mesh
from featurelib.rendering import open_renderer

_triangle = Mesh.smooth(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], dtype=np.int32))
for _projection in PROJECTIONS:
    _cameras = DEFAULT_RIG.cameras(np.zeros(3), lens_for(_projection, 4.0), 4.0)
    for _image in open_renderer("raster").render(_triangle, _cameras[:1], 16):
        pass
