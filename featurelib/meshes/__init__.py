"""Meshes in the object frame, and reading them from files that nobody has checked.

`mesh` (the value), `loading` (a file's bytes to a mesh, or one line on what is wrong), `limits` (how much is
believed), `sniffing` (what the bytes really are) and a reader for each type of file: `ply`, `stl`, `off`, `obj`
and `glb` (with `gltf` and `textures`), which share `polygons` and `text`. Nothing that a file refers to (material
libraries, images or buffers beside it) is ever opened: a mesh is what its own bytes say.
"""

from featurelib.meshes.limits import Limits
from featurelib.meshes.loading import MAX_COORDINATE_MM, MESH_SUFFIXES, load_mesh, parse_mesh, read_mesh
from featurelib.meshes.mesh import Mesh, smooth_normals

__all__ = [
    "MAX_COORDINATE_MM",
    "MESH_SUFFIXES",
    "Limits",
    "Mesh",
    "load_mesh",
    "parse_mesh",
    "read_mesh",
    "smooth_normals",
]
