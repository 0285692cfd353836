"""The scene of a glTF: its nodes with their poses, and the parts with surfaces that they place.

Sources: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, section 3.5 (scenes, nodes); EXT_mesh_gpu_instancing
and KHR_node_visibility (https://github.com/KhronosGroup/glTF/tree/main/extensions).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.geometry import matrix_from_wxyz
from featurelib.meshes.readers.gltf import Gltf, floats, indices, member, objects, refuse_compressed, short

TRIANGLES, STRIP, FAN = 4, 5, 6
"""Modes of primitives with a surface; smaller ones are points and lines."""


class Node(NamedTuple):
    """A node, its number, its pose scene_from_node (4, 4), and whether it and its ancestors are visible."""

    number: int
    entry: dict[str, Any]
    scene_from_node: NDArray[np.float64]
    is_visible: bool


class Part(NamedTuple):
    """A primitive with a surface, its mesh, its node, and its pose in the scene, scene_from_mesh (4, 4)."""

    primitive: dict[str, Any]
    mesh: dict[str, Any]
    node: dict[str, Any]
    scene_from_mesh: NDArray[np.float64]


def parts_of(gltf: Gltf) -> tuple[list[Part], tuple[str, ...]]:
    """Return the parts of the default scene, each instance on its own, and notes on what is left out.

    Raises:
        DataError: if there are none or too many, or nodes form a loop.
    """
    parts: list[Part] = []
    left_out: Counter[str] = Counter()
    reached, count = set(), 0
    for node in nodes(gltf, _roots_of_the_scene(gltf)):
        reached.add(node.number)
        for part in _parts(gltf, node):
            if reason := _reason_to_leave_out(part, node):
                left_out[reason] += 1
            else:
                parts.append(part)
            count += 1
            if count > gltf.limits.max_parts:
                most = f"{gltf.limits.max_parts:,}"
                raise DataError(f"more than {most} parts; expected at most {most} (join them)")
    outside = sum("mesh" in entry and index not in reached for index, entry in enumerate(gltf.sections["nodes"]))
    left_out["outside the default scene"] += outside
    notes = tuple(f"left out {num:,} part{'s' * (num > 1)} {reason}" for reason, num in left_out.items() if num)
    if notes and not parts:
        raise DataError(f"no triangles ({'; '.join(notes)}); expected a surface in the default scene")
    if not parts:
        raise DataError("its scene has no part of a mesh; expected a surface in the default scene")
    return parts, notes


def nodes(gltf: Gltf, roots: Iterable[int]) -> Iterator[Node]:
    """Yield the nodes below the roots.

    Raises:
        DataError: if a node is reached twice.
    """
    waiting = [(index, np.eye(4), True) for index in roots]
    visited: set[int] = set()
    while waiting:
        index, scene_from_parent, is_visible = waiting.pop()
        if index in visited:
            raise DataError(f"node {index} has two parents or is its own ancestor (the file is damaged)")
        visited.add(index)
        node = gltf.entry("nodes", index)
        scene_from_node = scene_from_parent @ _parent_from_node(node)
        is_visible &= member(node, "extensions", "KHR_node_visibility").get("visible") is not False
        yield Node(index, node, scene_from_node, is_visible)
        waiting += [(child, scene_from_node, is_visible) for child in indices(node, "children")]


def top_nodes(gltf: Gltf) -> list[int]:
    """Return the indices of the nodes without a parent."""
    entries = gltf.sections["nodes"]
    children = {child for node in entries for child in indices(node, "children")}
    return [index for index in range(len(entries)) if index not in children]


def _roots_of_the_scene(gltf: Gltf) -> list[int]:
    if gltf.sections["scenes"]:
        return indices(gltf.entry("scenes", gltf.scene), "nodes")
    return top_nodes(gltf)


def _parts(gltf: Gltf, node: Node) -> Iterator[Part]:
    """Yield the primitives of a node, once per instance."""
    if "mesh" not in node.entry:
        return
    mesh = gltf.entry("meshes", node.entry["mesh"])
    for primitive in objects(mesh, "primitives"):
        if not isinstance(primitive.get("attributes"), dict):
            raise DataError("a primitive has no attributes in its JSON (the file is damaged)")
        _refuse_hidden_numbers(gltf, primitive)
        for node_from_mesh in _instances(gltf, node.entry):
            pose = node.scene_from_node if node_from_mesh is None else node.scene_from_node @ node_from_mesh
            yield Part(primitive, mesh, node.entry, pose)


def _refuse_hidden_numbers(gltf: Gltf, primitive: dict[str, Any]) -> None:
    """Raise DataError if a primitive's positions exist only in compressed form."""
    position = primitive["attributes"].get("POSITION")
    if "extensions" in primitive and (position is None or "bufferView" not in gltf.entry("accessors", position)):
        refuse_compressed(member(primitive, "extensions"))


def _reason_to_leave_out(part: Part, node: Node) -> str:
    """Return why a part has no surface in the scene; empty if it has one."""
    mode = part.primitive.get("mode", TRIANGLES)
    if type(mode) is not int or not 0 <= mode <= FAN:
        raise DataError(f"a primitive has the mode {short(mode)}; expected 0 to {FAN}")
    if not node.is_visible:
        return "that the file hides"
    if mode < TRIANGLES:
        return "of lines" if mode else "of points"
    return "without positions" if part.primitive["attributes"].get("POSITION") is None else ""


def _instances(gltf: Gltf, node: dict[str, Any]) -> Iterator[NDArray[np.float64] | None]:
    """Yield node_from_mesh (4, 4) of each instance; None once if the node has no instances."""
    extension = member(node, "extensions", "EXT_mesh_gpu_instancing")
    attributes = {
        name: key
        for name, key in member(extension, "attributes").items()
        if name in ("TRANSLATION", "ROTATION", "SCALE")
    }
    if not attributes:
        yield None
        return
    counts = {gltf.count(key) for key in attributes.values()}
    if len(counts) > 1 or max(counts) > gltf.limits.max_parts:
        numbers = " and ".join(f"{count:,}" for count in sorted(counts))
        raise DataError(f"{numbers} instances of a part; expected one number up to {gltf.limits.max_parts:,}")
    columns = {name.lower(): gltf.accessor(key).astype(np.float64).tolist() for name, key in attributes.items()}
    for row in range(counts.pop()):
        yield _parent_from_node({name: column[row] for name, column in columns.items()})


def _parent_from_node(node: dict[str, Any]) -> NDArray[np.float64]:
    """Return a node's (4, 4) matrix, stored column by column, or that of its translation, rotation xyzw and scale."""
    if "matrix" in node:
        return floats(node, "matrix", 16).reshape(4, 4).T
    parent_from_node = np.eye(4)
    if "rotation" in node:
        x, y, z, w = floats(node, "rotation", 4)
        parent_from_node[:3, :3] = matrix_from_wxyz((w, x, y, z))
    if "scale" in node:
        parent_from_node[:3, :3] *= floats(node, "scale", 3)
    if "translation" in node:
        parent_from_node[:3, 3] = floats(node, "translation", 3)
    return parent_from_node
