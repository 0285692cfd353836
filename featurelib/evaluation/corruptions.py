"""Corruptions of meshes: the kinds of damage that scanners, exports and wrong files cause."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.errors import GeometryError
from featurelib.meshes import Mesh

CUT = 0.06
"""Radius of the part that is cut off around a landmark, as a share of the object's diagonal: a head's whole ear."""

ROTATION_DEG = 60.0

Corrupted = tuple[Mesh, NDArray[np.float64]]
"""A mesh in the object frame in mm, and the positions (2, 3) of its landmarks, which may be cut off."""


def without_surroundings(mesh: Mesh, landmarks_mm: NDArray[np.float64], sides: tuple[int, ...]) -> Corrupted:
    """Return the mesh with the surface around one landmark or both cut off."""
    away = np.linalg.norm(mesh.vertices_mm - landmarks_mm[list(sides), None], axis=-1).min(axis=0)
    return _cut(mesh, away > CUT * np.linalg.norm(np.ptp(mesh.bounds_mm, axis=0))), landmarks_mm


def rotated(mesh: Mesh, landmarks_mm: NDArray[np.float64], axis: int) -> Corrupted:
    """Return the mesh rotated by ROTATION_DEG about the x, y or z axis through its centre."""
    rotation = Rotation.from_rotvec(ROTATION_DEG * np.eye(3)[axis], degrees=True).as_matrix()
    centre_mm = mesh.centre_mm
    vertices_mm = (mesh.vertices_mm - centre_mm) @ rotation.T + centre_mm
    return Mesh.smooth(vertices_mm, mesh.faces), (landmarks_mm - centre_mm) @ rotation.T + centre_mm


def doubled(mesh: Mesh, landmarks_mm: NDArray[np.float64]) -> Corrupted:
    """Return the mesh at twice its size."""
    return Mesh.smooth(2 * mesh.vertices_mm, mesh.faces), 2 * landmarks_mm


def half(mesh: Mesh, landmarks_mm: NDArray[np.float64], axis: int, sign: int) -> Corrupted:
    """Return the half of the mesh on the side `sign` (1 or -1) of its centre along an axis (0 to 2)."""
    return _cut(mesh, sign * (mesh.vertices_mm - mesh.centre_mm)[:, axis] > 0), landmarks_mm


KINDS: Mapping[str, Callable[[Mesh, NDArray[np.float64]], Corrupted]] = {
    "left landmark cut off": lambda mesh, landmarks_mm: without_surroundings(mesh, landmarks_mm, (0,)),
    "right landmark cut off": lambda mesh, landmarks_mm: without_surroundings(mesh, landmarks_mm, (1,)),
    "both landmarks cut off": lambda mesh, landmarks_mm: without_surroundings(mesh, landmarks_mm, (0, 1)),
    "rotated about x": lambda mesh, landmarks_mm: rotated(mesh, landmarks_mm, 0),
    "rotated about y": lambda mesh, landmarks_mm: rotated(mesh, landmarks_mm, 1),
    "rotated about z": lambda mesh, landmarks_mm: rotated(mesh, landmarks_mm, 2),
    "twice as large": doubled,
    "left half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 0, 1),
    "upper half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 1, 1),
    "front half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 2, 1),
    "back half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 2, -1),
}
"""The corruptions by name: functions of a mesh and its landmarks (2, 3), in mm in the object frame."""


def _cut(mesh: Mesh, kept: NDArray[np.bool_]) -> Mesh:
    """Return the mesh of the faces whose vertices are all kept (n,)."""
    faces = mesh.faces[kept[mesh.faces].all(axis=1)]
    if not len(faces):
        raise GeometryError("corruption: no face is left; use a mesh that extends on both sides of its centre")
    used, corners = np.unique(faces, return_inverse=True)
    return Mesh.smooth(mesh.vertices_mm[used], corners.reshape(-1, 3))
