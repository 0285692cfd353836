"""Meshes in the object frame, and reading them from files.

A mesh file is read with trimesh, moved to the object frame and given smooth normals. Nothing that a file refers
to (material libraries, texture images beside it) is ever opened: a mesh is what its own bytes say.
"""

import io
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.geometry import apply

if TYPE_CHECKING:
    import trimesh

MESH_SUFFIXES = (".ply", ".obj", ".stl", ".glb", ".off")
"""Mesh files that can be read, by their lower-case ending."""

MAX_COORDINATE_MM = 1e7
"""Coordinates beyond this (10 km) are refused: squared in float32 they would lose all that a picture shows."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh in the object frame.

    vertices_mm: (n, 3) float32, C-contiguous.
    faces: (m, 3) int32 indices into the vertices, counter-clockwise seen from outside where the file says so.
    normals: (n, 3) float32 smooth unit normals; zero where a vertex has no face with an area.
    colours: (n, 3) uint8 RGB of the vertices, or None.
    uv: (n, 2) float32 texture position, (0, 0) the bottom-left corner of the texture, or None.
    texture: (h, w, 3) uint8 RGB, row 0 at the top, or None. A mesh with uv and texture ignores its colours.
    """

    vertices_mm: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    colours: NDArray[np.uint8] | None = None
    uv: NDArray[np.float32] | None = None
    texture: NDArray[np.uint8] | None = None

    @classmethod
    def smooth(
        cls,
        vertices_mm: ArrayLike,
        faces: ArrayLike,
        *,
        colours: ArrayLike | None = None,
        uv: ArrayLike | None = None,
        texture: ArrayLike | None = None,
    ) -> Self:
        """Return the mesh of vertices (n, 3) and faces (m, 3), with the smooth normals of `smooth_normals`."""
        vertices_mm = np.ascontiguousarray(vertices_mm, dtype=np.float32)
        faces = np.ascontiguousarray(faces, dtype=np.int32)
        return cls(
            vertices_mm,
            faces,
            smooth_normals(vertices_mm, faces),
            None if colours is None else np.ascontiguousarray(colours, dtype=np.uint8),
            None if uv is None else np.ascontiguousarray(uv, dtype=np.float32),
            None if texture is None else np.ascontiguousarray(texture, dtype=np.uint8),
        )

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) lowest and highest corner of the bounding box."""
        return np.array([self.vertices_mm.min(axis=0), self.vertices_mm.max(axis=0)], dtype=np.float64)

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """(3,) centre of the bounding box."""
        lowest, highest = self.bounds_mm
        return np.asarray((lowest + highest) / 2)

    def mirrored(self, centre_x_mm: float = 0.0) -> Self:
        """Return the mesh mirrored in the plane x = centre_x_mm, its faces re-wound so that outside stays outside."""
        flip = np.array([-1, 1, 1], dtype=np.float32)
        vertices_mm = self.vertices_mm * flip + np.array([2 * centre_x_mm, 0, 0], dtype=np.float32)
        faces = np.ascontiguousarray(self.faces[:, ::-1])
        return replace(self, vertices_mm=vertices_mm, faces=faces, normals=self.normals * flip)

    def moved(self, a_from_b: NDArray[np.floating]) -> Self:
        """Return the mesh of frame b in frame a; `a_from_b` (4, 4) turns, shifts and scales alike in all directions."""
        rotation = a_from_b[:3, :3] / np.cbrt(np.linalg.det(a_from_b[:3, :3]))
        vertices_mm = apply(a_from_b, self.vertices_mm).astype(np.float32)
        return replace(self, vertices_mm=vertices_mm, normals=(self.normals @ rotation.T).astype(np.float32))


def smooth_normals(vertices_mm: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the (n, 3) unit normals: the mean of the faces around each position, weighted by their areas.

    Vertices at the same position share one normal, so a triangle soup (STL) and a texture's seam look as smooth
    as the surface is. A position without any area around it gets the normal zero.
    """
    corners = vertices_mm[faces].astype(np.float64)  # (m, 3, 3)
    doubled_areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # (m, 3)
    position_of_vertex = _position_ids(vertices_mm)
    position_of_corner = position_of_vertex[faces].ravel()
    count = int(position_of_vertex.max()) + 1
    sums = [np.bincount(position_of_corner, np.repeat(areas, 3), count) for areas in doubled_areas.T]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    return np.asarray(normals[position_of_vertex], dtype=np.float32)


def load_mesh(data: bytes, file_type: str, object_from_source: NDArray[np.floating], *, name: str) -> Mesh:
    """Return the mesh of a file's bytes in the object frame; a scene's parts become one mesh.

    Args:
        data: the whole file.
        file_type: its ending, one of MESH_SUFFIXES (the dot and upper case do not matter).
        object_from_source: (4, 4) from the file's axes and unit to the object frame, in mm.
        name: the file as the user knows it; every error begins with it.

    Raises:
        DataError: if the bytes are no such file, or no surface of finite size comes out.
    """
    source = _parse(data, file_type, name)
    if not np.isfinite(source.vertices).all():
        raise DataError(f"{name}: a vertex with a coordinate that is NaN or infinite; expected finite numbers")
    vertices_mm = apply(object_from_source, source.vertices).astype(np.float32)
    faces = np.asarray(source.faces)
    _refuse_unusable(vertices_mm, faces, name)
    colours, uv, texture = _appearance(source, name)
    used = np.zeros(len(vertices_mm), dtype=bool)
    used[faces] = True
    if not used.all():  # stray points would shift the bounding box, at whose centre the cameras look
        faces = (np.cumsum(used) - 1)[faces]
        vertices_mm = vertices_mm[used]
        colours, uv = None if colours is None else colours[used], None if uv is None else uv[used]
    return Mesh.smooth(vertices_mm, faces, colours=colours, uv=uv, texture=texture)


def _parse(data: bytes, file_type: str, name: str) -> "trimesh.Trimesh":
    """Return trimesh's reading of a file, with its vertices as they stand in it (process=False: 1 ms, not 14)."""
    import trimesh

    file_type = file_type.lower().removeprefix(".")
    if f".{file_type}" not in MESH_SUFFIXES:
        raise DataError(f"{name}: meshes of type {file_type!r} cannot be read; expected {', '.join(MESH_SUFFIXES)}")
    if not data:
        raise DataError(f"{name}: the file is empty")
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=file_type, process=False, resolver=_refusing_resolver())
        parts = [part for part in scene.geometry.values() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
        if not parts:
            raise DataError(f"{name}: no faces; a point cloud cannot be rendered")
        if file_type == "off":
            _refuse_truncated_off(data, len(parts[0].faces), name)
        # to_mesh copies everything (5 ms for a head), and one part that is not moved needs none of it.
        is_plain = len(parts) == 1 and file_type != "glb"
        mesh = parts[0] if is_plain else scene.to_mesh()
        _ = mesh.vertices, mesh.faces, mesh.visual.kind
    except DataError:
        raise
    except Exception as error:  # trimesh's readers raise whatever the bytes make them stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: not a readable {file_type} file ({reason[:200]})") from None
    return mesh


def _refuse_truncated_off(data: bytes, num_faces: int, name: str) -> None:
    """Raise DataError if an OFF file announces more faces than were read: trimesh takes what is there."""
    header = re.match(rb"\s*\w*OFF\s+\d+\s+(\d+)", re.sub(rb"#.*", b"", data[:4096]))
    if header and num_faces < int(header[1]):
        raise DataError(f"{name}: the file ends after {num_faces} of {int(header[1])} faces")


def _refusing_resolver() -> Any:
    """Return a resolver through which trimesh finds no other file."""
    from trimesh.resolvers import Resolver

    class NoOtherFiles(Resolver):
        def __init__(self) -> None:
            """Hold nothing."""

        def get(self, key: str) -> bytes:
            raise FileNotFoundError(f"it refers to another file, {key!r}, which is never opened")

        def keys(self) -> list[str]:
            return []

        def namespaced(self, namespace: str) -> "NoOtherFiles":
            return self

        def write(self, name: str, data: str | bytes) -> None:
            raise FileNotFoundError(f"no file {name!r} can be written here")

    return NoOtherFiles()


def _refuse_unusable(vertices_mm: NDArray[np.float32], faces: NDArray[np.integer], name: str) -> None:
    """Raise DataError unless the faces (m, 3), m > 0, lie between vertices of the mesh that span some space."""
    if faces.min() < 0 or faces.max() >= len(vertices_mm):
        raise DataError(f"{name}: a face refers to vertex {int(faces.max())} of only {len(vertices_mm)}")
    highest = float(np.abs(vertices_mm).max())
    if highest > MAX_COORDINATE_MM:
        raise DataError(f"{name}: a vertex at {highest:g} mm; expected coordinates within 10 km (is the unit right?)")
    if (vertices_mm[faces.ravel()] == vertices_mm[faces.flat[0]]).all():
        raise DataError(f"{name}: all faces lie in one point; there is no surface to render")


def _appearance(
    source: "trimesh.Trimesh", name: str
) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None, NDArray[np.uint8] | None]:
    """Return the colours, uv and texture that the file itself holds; a texture of one colour counts as none."""
    try:
        visual = source.visual
        if visual.kind in ("vertex", "face"):
            return np.array(visual.vertex_colors[:, :3], dtype=np.uint8), None, None
        if visual.kind == "texture" and visual.uv is not None and len(visual.uv) == len(source.vertices):
            material = visual.material
            image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
            texture = None if image is None else np.array(image.convert("RGB"), dtype=np.uint8)
            # trimesh makes up a picture of one grey where the material is in another file.
            if texture is not None and (texture != texture[0, 0]).any():
                return None, np.nan_to_num(np.asarray(visual.uv, dtype=np.float32)[:, :2]), texture
    except Exception as error:  # images are decoded only here, and by many decoders
        raise DataError(f"{name}: unreadable colours or texture ({' '.join(str(error).split())[:200]})") from None
    return None, None, None


def _position_ids(vertices_mm: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return (n,) numbers that are equal where two vertices have the same position."""
    rows = np.ascontiguousarray(vertices_mm + np.float32(0))  # -0 + 0 is +0: equal values become equal bytes
    return np.unique(rows.view(np.dtype((np.void, rows.strides[0]))).ravel(), return_inverse=True)[1]
