"""Objects corrupted on purpose: what a scanner, an export or a wrong file may do to a mesh."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.errors import GeometryError
from featurelib.meshes import Mesh

CUT = 0.06
"""Radius of what is cut off around a landmark, as a share of the object's diagonal: all of a head's ear."""

TURN_DEG = 60.0

Spoiled = tuple[Mesh, NDArray[np.float64]]
"""A mesh in the object frame, and where its landmarks (2, 3) are or were."""


def without_surroundings(mesh: Mesh, pair_mm: NDArray[np.float64], sides: tuple[int, ...]) -> Spoiled:
    """Return the mesh with the surface around one landmark or both cut off."""
    away = np.linalg.norm(mesh.vertices_mm - pair_mm[list(sides), None], axis=-1).min(axis=0)
    return _cut(mesh, away > CUT * np.linalg.norm(np.ptp(mesh.bounds_mm, axis=0))), pair_mm


def turned(mesh: Mesh, pair_mm: NDArray[np.float64], axis: int) -> Spoiled:
    """Return the mesh turned by TURN_DEG about x, y or z through its centre."""
    rotation = Rotation.from_rotvec(TURN_DEG * np.eye(3)[axis], degrees=True).as_matrix()
    centre_mm = mesh.centre_mm
    vertices_mm = (mesh.vertices_mm - centre_mm) @ rotation.T + centre_mm
    return Mesh.smooth(vertices_mm, mesh.faces), (pair_mm - centre_mm) @ rotation.T + centre_mm


def doubled(mesh: Mesh, pair_mm: NDArray[np.float64]) -> Spoiled:
    """Return the mesh twice as large."""
    return Mesh.smooth(2 * mesh.vertices_mm, mesh.faces), 2 * pair_mm


def half(mesh: Mesh, pair_mm: NDArray[np.float64], axis: int, sign: int) -> Spoiled:
    """Return the half of the mesh towards +x, -x, +y and so on from its centre."""
    return _cut(mesh, sign * (mesh.vertices_mm - mesh.centre_mm)[:, axis] > 0), pair_mm


KINDS: Mapping[str, Callable[[Mesh, NDArray[np.float64]], Spoiled]] = {
    "left landmark cut off": lambda mesh, pair_mm: without_surroundings(mesh, pair_mm, (0,)),
    "right landmark cut off": lambda mesh, pair_mm: without_surroundings(mesh, pair_mm, (1,)),
    "both landmarks cut off": lambda mesh, pair_mm: without_surroundings(mesh, pair_mm, (0, 1)),
    "turned about x": lambda mesh, pair_mm: turned(mesh, pair_mm, 0),
    "turned about y": lambda mesh, pair_mm: turned(mesh, pair_mm, 1),
    "turned about z": lambda mesh, pair_mm: turned(mesh, pair_mm, 2),
    "twice as large": doubled,
    "left half": lambda mesh, pair_mm: half(mesh, pair_mm, 0, 1),
    "upper half": lambda mesh, pair_mm: half(mesh, pair_mm, 1, 1),
    "front half": lambda mesh, pair_mm: half(mesh, pair_mm, 2, 1),
    "back half": lambda mesh, pair_mm: half(mesh, pair_mm, 2, -1),
}
"""What may be done to a mesh and its landmarks (2, 3), in mm, object frame."""


def _cut(mesh: Mesh, kept: NDArray[np.bool_]) -> Mesh:
    """Return the faces all of whose vertices are kept (n,)."""
    faces = mesh.faces[kept[mesh.faces].all(axis=1)]
    if not len(faces):
        raise GeometryError("no face is left of the mesh")
    used, corners = np.unique(faces, return_inverse=True)
    return Mesh.smooth(mesh.vertices_mm[used], corners.reshape(-1, 3))
