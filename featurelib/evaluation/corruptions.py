"""Corruptions of meshes: the kinds of damage that scanners, exports and wrong files cause."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.errors import GeometryError
from featurelib.geometry import SIDES, LandmarkSet
from featurelib.meshes import Mesh

CUT = 0.06
"""Radius of the part that is cut off around a landmark, as a share of the object's diagonal: a head's whole ear."""

ROTATION_DEG = 60.0

Corrupted = tuple[Mesh, NDArray[np.float64]]
"""A mesh in the object frame in mm, and the positions (k, 3) of its landmarks, which may be cut off."""


def without_surroundings(mesh: Mesh, landmarks_mm: NDArray[np.float64], chosen: tuple[int, ...]) -> Corrupted:
    """Return the mesh with the surface around the chosen landmarks cut off; around one that is NaN, nothing is."""
    away = np.linalg.norm(mesh.vertices_mm - landmarks_mm[list(chosen), None], axis=-1)
    away = np.where(np.isnan(away), np.inf, away).min(axis=0)
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


Corruption = Callable[[Mesh, NDArray[np.float64]], Corrupted]
"""A function of a mesh and its landmarks (k, 3), in mm in the object frame."""

WHOLE: Mapping[str, Corruption] = {
    "rotated about x": lambda mesh, landmarks_mm: rotated(mesh, landmarks_mm, 0),
    "rotated about y": lambda mesh, landmarks_mm: rotated(mesh, landmarks_mm, 1),
    "rotated about z": lambda mesh, landmarks_mm: rotated(mesh, landmarks_mm, 2),
    "twice as large": doubled,
    "left half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 0, 1),
    "upper half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 1, 1),
    "front half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 2, 1),
    "back half": lambda mesh, landmarks_mm: half(mesh, landmarks_mm, 2, -1),
}
"""The corruptions of whole objects, by name."""


def kinds(landmarks: LandmarkSet) -> dict[str, Corruption]:
    """Return the corruptions of objects with these landmarks, by name.

    Landmarks are cut off alone and together: those of the first pair, or the first landmark of a set without pairs.
    """
    both = {f"{side} landmark cut off": (k,) for side, k in zip(SIDES, landmarks.slots[0].tolist(), strict=True)}
    both["both landmarks cut off"] = tuple(landmarks.slots[0].tolist())
    cut_off = both if landmarks.pairs else {"landmark cut off": (0,)}
    return {name: partial(without_surroundings, chosen=chosen) for name, chosen in cut_off.items()} | dict(WHOLE)


def _cut(mesh: Mesh, kept: NDArray[np.bool_]) -> Mesh:
    """Return the mesh of the faces whose vertices are all kept (n,)."""
    faces = mesh.faces[kept[mesh.faces].all(axis=1)]
    if not len(faces):
        raise GeometryError("corruption: no face is left; use a mesh that extends on both sides of its centre")
    used, corners = np.unique(faces, return_inverse=True)
    return Mesh.smooth(mesh.vertices_mm[used], corners.reshape(-1, 3))
