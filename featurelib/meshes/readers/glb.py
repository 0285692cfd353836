"""GLB and glTF: a scene of meshes, joined to one mesh.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, section 3.7 (meshes). Animations are not read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.gltf import Gltf
from featurelib.meshes.readers.gltf_deformation import Deformation, active_targets
from featurelib.meshes.readers.gltf_files import read_container, read_text
from featurelib.meshes.readers.gltf_scenes import FAN, STRIP, TRIANGLES, Part, parts_of
from featurelib.meshes.readers.materials import appearance
from featurelib.meshes.readers.polygons import RawMesh, refuse_missing_vertices, strips


def read_glb(data: bytes, limits: Limits) -> RawMesh:
    """Return all triangles of a GLB's scene as one mesh, with each part at the pose of its node, or of its joints.

    Raises:
        DataError: if the file is cut off, damaged or compressed, has its geometry in other files, requires an unknown
            extension, or exceeds the limits.
    """
    return _mesh(read_container(data, limits))


def read_gltf(data: bytes, limits: Limits) -> RawMesh:
    """Return the mesh of a glTF that is JSON alone, with its buffers embedded, as `read_glb`.

    Raises:
        DataError: as `read_glb`.
    """
    return _mesh(read_text(data, limits))


def _mesh(gltf: Gltf) -> RawMesh:
    parts, notes = parts_of(gltf)
    _check_counts(gltf, parts)
    deformation = Deformation(gltf)
    vertices = [deformation.vertices(part) for part in parts]
    faces = [_faces(gltf, part.primitive, *placed) for part, placed in zip(parts, vertices, strict=True)]
    counts = [len(placed.positions) for placed in vertices]
    first_vertices = np.cumsum(counts) - counts
    colours, uv, texture, more = appearance(gltf, [part.primitive for part in parts], counts, gltf.limits)
    return RawMesh(
        np.concatenate([placed.positions for placed in vertices]),
        np.concatenate([part + first for part, first in zip(faces, first_vertices, strict=True)]),
        colours,
        uv,
        texture,
        notes + more,
    )


def _check_counts(gltf: Gltf, parts: list[Part]) -> None:
    """Raise DataError if the announced counts exceed the limits; a morph target counts as its vertices."""
    counts = [gltf.count(part.primitive["attributes"]["POSITION"]) for part in parts]
    gltf.limits.check_counts(sum(counts), sum(_num_faces(gltf, part.primitive) for part in parts))
    moved = sum(count * len(active_targets(part)) for count, part in zip(counts, parts, strict=True))
    if moved > gltf.limits.max_vertices:
        raise DataError(f"{moved:,} positions of morph targets; expected at most {gltf.limits.max_vertices:,}")


def _num_faces(gltf: Gltf, primitive: dict[str, Any]) -> int:
    """Return the announced number of triangles."""
    corners = gltf.count(primitive["indices"] if "indices" in primitive else primitive["attributes"]["POSITION"])
    return corners // 3 if primitive.get("mode", TRIANGLES) == TRIANGLES else max(corners - 2, 0)


def _faces(
    gltf: Gltf, primitive: dict[str, Any], vertices: NDArray[np.float64], is_mirrored: bool
) -> NDArray[np.integer]:
    """Return the (m, 3) triangles of a part, reversed if the scene mirrors it, so that outside stays outside."""
    if "indices" in primitive:
        indices = gltf.accessor(primitive["indices"])
        if indices.dtype.kind != "u" or indices.shape[1] != 1:
            raise DataError(f"indices are {indices.shape[1]} x {indices.dtype}; expected unsigned integers")
        corners, highest = indices.ravel().astype(np.int64), 2 ** (8 * indices.itemsize) - 1
    else:
        corners, highest = np.arange(len(vertices)), len(vertices)
    mode = primitive.get("mode", TRIANGLES)
    if mode == STRIP and highest >= len(vertices):  # restarts a strip in OpenGL and Direct3D, though not allowed here
        corners = np.where(corners == highest, -1, corners)
    refuse_missing_vertices(corners[corners >= 0] if mode == STRIP else corners, len(vertices))
    faces = _triangles(corners, mode)
    return faces[:, ::-1] if is_mirrored else faces


def _triangles(corners: NDArray[np.integer], mode: int) -> NDArray[np.integer]:
    """Return the (m, 3) triangles of a list, of strips that -1 separates, or of a fan of corners (n,)."""
    if mode == FAN:
        return np.stack([np.broadcast_to(corners[:1], max(len(corners) - 2, 0)), corners[1:-1], corners[2:]], axis=1)
    if mode == STRIP and (corners < 0).any():
        return strips(corners)
    if mode == STRIP:
        faces = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
        faces[1::2] = faces[1::2, ::-1]
        return faces
    if len(corners) % 3:
        raise DataError(f"{len(corners):,} corners of triangles; expected a multiple of 3 (the file is damaged)")
    return corners.reshape(-1, 3)
