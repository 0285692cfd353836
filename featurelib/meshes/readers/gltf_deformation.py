"""The vertices of a glTF's part in the scene: morph targets at their default weights, and skins at rest.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.7.2.2 (morph targets) and 3.7.3 (skins).
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.geometry import apply
from featurelib.meshes.readers.gltf import Gltf, short
from featurelib.meshes.readers.gltf_scenes import Part, nodes, top_nodes

_BLOCK = 1 << 16
"""Vertices that are moved by a skin at a time: their matrices take 96 bytes each."""

_MAX_JOINTS = 1 << 16
"""Vertices refer to joints by numbers of two bytes."""


class Vertices(NamedTuple):
    """The (n, 3) vertices of a part in the scene, and whether the scene mirrors the part."""

    positions: NDArray[np.float64]
    is_mirrored: bool


class Deformation:
    """Places the vertices of parts; the matrices of a skin's joints are computed once."""

    def __init__(self, gltf: Gltf) -> None:
        """Start without matrices."""
        self._gltf = gltf
        self._matrices: dict[int, NDArray[np.float64]] = {}

    def vertices(self, part: Part) -> Vertices:
        """Return the vertices of a part; a skin replaces the pose of its node.

        Raises:
            DataError: if numbers are missing or have another form.
        """
        positions = self._morphed(part)
        if "skin" in part.node and "JOINTS_0" in part.primitive["attributes"]:
            return self._skinned(part, positions)
        return Vertices(apply(part.scene_from_mesh, positions), np.linalg.det(part.scene_from_mesh[:3, :3]) < 0)

    def _morphed(self, part: Part) -> NDArray[np.generic]:
        positions = self._vectors(part.primitive["attributes"]["POSITION"])
        for target, weight in active_targets(part):
            change = self._vectors(target["POSITION"])
            if len(change) != len(positions):
                raise DataError(f"a morph target has {len(change):,} positions; its part has {len(positions):,}")
            positions = positions + weight * change.astype(np.float64)
        return positions

    def _vectors(self, index: Any) -> NDArray[Any]:
        vectors = self._gltf.accessor(index)
        if vectors.shape[1] != 3:
            raise DataError(f"positions have {vectors.shape[1]} numbers; expected x, y and z")
        return vectors

    def _skinned(self, part: Part, positions: NDArray[np.generic]) -> Vertices:
        """Return vertices (n, 3) at the weighted mean of where their joints place them."""
        self._gltf.entry("skins", part.node["skin"])
        if part.node["skin"] not in self._matrices:
            self._matrices[part.node["skin"]] = self._scene_from_mesh(part.node["skin"])
        scene_from_mesh = self._matrices[part.node["skin"]]
        joints, weights = self._influences(part.primitive["attributes"], len(positions), len(scene_from_mesh))
        moved = np.empty((len(positions), 3))
        for start in range(0, len(positions), _BLOCK):
            block = slice(start, start + _BLOCK)
            points = np.pad(positions[block].astype(np.float64), ((0, 0), (0, 1)), constant_values=1)
            blended = sum(
                weights[block, k, None, None] * scene_from_mesh[joints[block, k]] for k in range(joints.shape[1])
            )
            moved[block] = np.einsum("nij,nj->ni", blended, points)
        return Vertices(moved, bool(np.linalg.det(scene_from_mesh[:, :, :3])[joints[:, 0]].sum() < 0))

    def _scene_from_mesh(self, index: Any) -> NDArray[np.float64]:
        """Return the (j, 3, 4) matrices of a skin's joints at rest."""
        skin = self._gltf.entry("skins", index)
        joints = skin.get("joints")
        if not isinstance(joints, list) or not 0 < len(joints) <= _MAX_JOINTS:
            raise DataError(f"the joints of a skin are {short(joints)}; expected a list of up to {_MAX_JOINTS:,} nodes")
        for joint in joints:
            self._gltf.entry("nodes", joint)
        poses = np.stack([self._poses[joint] for joint in joints])
        if "inverseBindMatrices" not in skin:
            return poses[:, :3]
        stored = self._gltf.accessor(skin["inverseBindMatrices"])
        if len(stored) < len(joints) or stored.shape[1] != 16:
            raise DataError(f"a skin has {len(stored)} matrices for {len(joints)} joints (the file is damaged)")
        return (poses @ stored[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64))[:, :3]

    @cached_property
    def _poses(self) -> NDArray[np.float64]:
        """The poses (n, 4, 4) of all nodes, also of those outside the default scene."""
        poses = np.tile(np.eye(4), (len(self._gltf.sections["nodes"]), 1, 1))
        for node in nodes(self._gltf, top_nodes(self._gltf)):
            poses[node.number] = node.scene_from_node
        return poses

    def _influences(
        self, attributes: dict[str, Any], num_vertices: int, num_joints: int
    ) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
        """Return the joints (n, k) of vertices and their weights (n, k), which sum to one.

        Files with weights of another sum are common; without any weight the first joint counts, as in three.js.
        """
        pairs = []
        for k in range(4):
            if f"JOINTS_{k}" in attributes:
                pairs.append([self._gltf.accessor(attributes.get(f"{name}_{k}")) for name in ("JOINTS", "WEIGHTS")])
        if any(values.shape != (num_vertices, 4) for pair in pairs for values in pair):
            raise DataError(
                f"joints or weights are not four for each of {num_vertices:,} vertices (the file is damaged)"
            )
        joints, weights = (np.concatenate(values, axis=1) for values in zip(*pairs, strict=True))
        if joints.dtype.kind != "u" or (joints.size and int(joints.max()) >= num_joints):
            raise DataError(f"a vertex refers to a joint that is none of {num_joints} (the file is damaged)")
        weights = np.nan_to_num(weights.astype(np.float64))
        weights[~weights.any(axis=1), 0] = 1
        return joints, weights / weights.sum(axis=1, keepdims=True)


def active_targets(part: Part) -> list[tuple[dict[str, Any], float]]:
    """Return the morph targets of a part that move positions, with their default weights, which are not zero."""
    weights = part.node.get("weights", part.mesh.get("weights", []))
    targets = part.primitive.get("targets", [])
    if not isinstance(weights, list) or not all(type(weight) in (int, float) for weight in weights):
        raise DataError(f"'weights' in its JSON is {short(weights)}; expected a list of numbers")
    if not isinstance(targets, list) or not all(isinstance(target, dict) for target in targets):
        raise DataError(f"'targets' in its JSON is {short(targets)}; expected a list of objects")
    pairs = zip(targets, weights, strict=False)
    return [(target, weight) for target, weight in pairs if weight and "POSITION" in target]
