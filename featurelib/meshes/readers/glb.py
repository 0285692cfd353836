"""GLB: a scene of meshes, joined to one mesh.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.5 (nodes) and 3.7 (meshes). Skins and
morph targets keep their rest pose.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.geometry import apply, matrix_from_wxyz
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.gltf import Gltf, objects, read_container, short
from featurelib.meshes.readers.materials import appearance
from featurelib.meshes.readers.polygons import RawMesh, refuse_missing_vertices

_TRIANGLES, _STRIP, _FAN = 4, 5, 6


class Placed(NamedTuple):
    """A primitive and its pose in the scene, scene_from_mesh (4, 4)."""

    primitive: dict[str, Any]
    scene_from_mesh: NDArray[np.float64]


def read_glb(data: bytes, limits: Limits) -> RawMesh:
    """Return all triangles of a GLB's scene as one mesh, with each part at the pose of its node.

    Raises:
        DataError: if the file is cut off, damaged or compressed, refers to other files or exceeds the limits.
    """
    gltf = read_container(data, limits)
    placed = list(_surfaces(gltf, limits))
    limits.check_counts(
        sum(gltf.count(part.primitive["attributes"].get("POSITION")) for part in placed),
        sum(_num_faces(gltf, part.primitive) for part in placed),
    )
    vertices = [_positions(gltf, part) for part in placed]
    faces = [_faces(gltf, part, points) for part, points in zip(placed, vertices, strict=True)]
    counts = [len(points) for points in vertices]
    first_vertices = np.cumsum(counts) - counts
    return RawMesh(
        np.concatenate(vertices),
        np.concatenate([part + first for part, first in zip(faces, first_vertices, strict=True)]),
        *appearance(gltf, [part.primitive for part in placed], counts, limits),
    )


def _surfaces(gltf: Gltf, limits: Limits) -> Iterator[Placed]:
    """Yield the primitives of all nodes of the scene that consist of triangles; points and lines are omitted.

    Raises:
        DataError: if there are too many, or nodes form a loop.
    """
    num_parts = 0
    for node, scene_from_node in _nodes(gltf):
        if "mesh" not in node:
            continue
        for primitive in objects(gltf.entry("meshes", node["mesh"]), "primitives"):
            if not isinstance(primitive.get("attributes"), dict):
                raise DataError("a primitive has no attributes in its JSON (the file is damaged)")
            if primitive.get("mode", _TRIANGLES) == _FAN:
                raise DataError("a primitive has triangle fans (mode 6), which are not read; export plain triangles")
            num_parts += 1
            if num_parts > limits.max_parts:
                raise DataError(
                    f"more than {limits.max_parts:,} parts; expected at most {limits.max_parts:,} (join them)"
                )
            if primitive.get("mode", _TRIANGLES) in (_TRIANGLES, _STRIP):
                yield Placed(primitive, scene_from_node)


def _nodes(gltf: Gltf) -> Iterator[tuple[dict[str, Any], NDArray[np.float64]]]:
    """Yield the nodes of the scene, of all roots if the file has no scene, with (4, 4) scene_from_node."""
    nodes = gltf.sections["nodes"]
    if gltf.sections["scenes"]:
        roots = _indices(gltf.entry("scenes", gltf.scene), "nodes")
    else:
        children = {child for node in nodes for child in _indices(node, "children")}
        roots = [index for index in range(len(nodes)) if index not in children]
    waiting = [(index, np.eye(4)) for index in roots]
    visited: set[int] = set()
    while waiting:
        index, scene_from_parent = waiting.pop()
        if index in visited:
            raise DataError(f"node {index} has two parents or is its own ancestor (the file is damaged)")
        visited.add(index)
        node = gltf.entry("nodes", index)
        scene_from_node = scene_from_parent @ _parent_from_node(node)
        yield node, scene_from_node
        waiting += [(child, scene_from_node) for child in _indices(node, "children")]


def _parent_from_node(node: dict[str, Any]) -> NDArray[np.float64]:
    """Return a node's (4, 4) matrix, stored column by column, or that of its translation, rotation xyzw and scale."""
    if "matrix" in node:
        return _floats(node, "matrix", 16).reshape(4, 4).T
    parent_from_node = np.eye(4)
    if "rotation" in node:
        x, y, z, w = _floats(node, "rotation", 4)
        parent_from_node[:3, :3] = matrix_from_wxyz((w, x, y, z))
    if "scale" in node:
        parent_from_node[:3, :3] *= _floats(node, "scale", 3)
    if "translation" in node:
        parent_from_node[:3, 3] = _floats(node, "translation", 3)
    return parent_from_node


def _num_faces(gltf: Gltf, primitive: dict[str, Any]) -> int:
    """Return the announced number of triangles."""
    corners = gltf.count(primitive["indices"] if "indices" in primitive else primitive["attributes"].get("POSITION"))
    return max(corners - 2, 0) if primitive.get("mode") == _STRIP else corners // 3


def _positions(gltf: Gltf, placed: Placed) -> NDArray[np.float64]:
    """Return the (n, 3) vertices of a part in the scene's frame."""
    positions = gltf.accessor(placed.primitive["attributes"].get("POSITION"))
    if positions.shape[1] != 3:
        raise DataError(f"positions have {positions.shape[1]} numbers; expected x, y and z")
    return apply(placed.scene_from_mesh, positions)


def _faces(gltf: Gltf, placed: Placed, vertices: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of a part, reversed if the scene mirrors it, so that outside stays outside."""
    primitive = placed.primitive
    if "indices" in primitive:
        indices = gltf.accessor(primitive["indices"])
        if indices.dtype.kind != "u" or indices.shape[1] != 1:
            raise DataError(f"indices are {indices.shape[1]} x {indices.dtype}; expected unsigned integers")
        corners = indices.ravel().astype(np.int64)
    else:
        corners = np.arange(len(vertices))
    refuse_missing_vertices(corners, len(vertices))
    if primitive.get("mode") == _STRIP:
        faces = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
        faces[1::2] = faces[1::2, ::-1]
    elif len(corners) % 3:
        raise DataError(f"{len(corners):,} corners of triangles; expected a multiple of 3 (the file is damaged)")
    else:
        faces = corners.reshape(-1, 3)
    return faces[:, ::-1] if np.linalg.det(placed.scene_from_mesh[:3, :3]) < 0 else faces


def _indices(entry: dict[str, Any], key: str) -> list[int]:
    """Return a list of indices in a JSON object; empty if it is missing."""
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise DataError(f"{key!r} in its JSON is {short(values)}; expected a list of indices")
    return values


def _floats(entry: dict[str, Any], key: str, count: int) -> NDArray[np.float64]:
    """Return a list of numbers (count,) in a JSON object."""
    values = entry[key]
    if not isinstance(values, list) or len(values) != count or not all(type(value) in (int, float) for value in values):
        raise DataError(f"{key!r} in its JSON is {short(values)}; expected {count} numbers")
    return np.array(values, dtype=np.float64)
