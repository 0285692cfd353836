"""Triangle meshes in the object frame, read from untrusted files.

`mesh` is the value, `loading` parses a file's bytes or raises an error of one line, `limits` bounds a file's size, and
`readers` has one reader per file type. The other modules compute surface points, registrations and shape descriptors.
No other file that a mesh file refers to (material libraries, images or buffers) is ever opened.
"""

from featurelib.meshes.limits import Limits
from featurelib.meshes.loading import MESH_SUFFIXES, load_mesh, parse_mesh, read_mesh
from featurelib.meshes.mesh import Mesh, smooth_normals

__all__ = [
    "MESH_SUFFIXES",
    "Limits",
    "Mesh",
    "load_mesh",
    "parse_mesh",
    "read_mesh",
    "smooth_normals",
]
