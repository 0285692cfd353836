"""Write a surface as a binary PLY file."""

import numpy as np
from numpy.typing import NDArray


def ply(vertices: NDArray[np.floating], faces: NDArray[np.int32]) -> bytes:
    """Return a binary PLY file (http://paulbourke.net/dataformats/ply) of vertices (n, 3) and faces (m, 3).

    Vertices of float64 stay in double precision.
    """
    name, dtype = ("double", "<f8") if vertices.dtype == np.float64 else ("float", "<f4")
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(vertices)}",
        *(f"property {name} {axis}" for axis in "xyz"),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    records = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    records["count"], records["corners"] = 3, faces
    return "\n".join(header).encode() + vertices.astype(dtype).tobytes() + records.tobytes()
