"""Convert mesh files of other formats to PLY with trimesh; only for trusted files of the user."""

import io

import numpy as np

from featurelib.errors import DataError
from featurelib.meshes.loading import MESH_SUFFIXES
from featurelib.meshes.writers.ply import ply

MAX_SINGLE_SIZES = 64
"""Coordinates up to this many sizes of the mesh are written in single precision: steps of 1/130,000 of the size."""


def foreign_suffixes() -> tuple[str, ...]:
    """Return the file endings that only trimesh reads, with the packages that are installed."""
    from trimesh.exchange.load import mesh_formats  # takes 0.5 s, and few commands need it

    return tuple(sorted({f".{name}" for name in mesh_formats()} - {*MESH_SUFFIXES, ".xyz", ".stl_ascii"}))


def as_ply(content: bytes, suffix: str, name: str) -> bytes:
    """Return a mesh file as PLY in its own axes and unit, in single precision unless it is far from its origin.

    Raises:
        DataError: if trimesh cannot read the file, or it has no faces.
    """
    import trimesh

    try:
        mesh = trimesh.load(io.BytesIO(content), file_type=suffix.removeprefix("."), force="mesh", process=False)
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32)
    except Exception as error:  # noqa: BLE001 (each reader of trimesh raises its own errors)
        raise DataError(f"{name}: cannot be read, {type(error).__name__}: {error}; export it as PLY") from None
    if not len(faces):
        raise DataError(f"{name}: no faces; export a surface, as PLY")
    is_far = np.abs(vertices).max(initial=0) > MAX_SINGLE_SIZES * np.ptp(vertices, axis=0).max(initial=0)
    return ply(vertices if is_far else vertices.astype(np.float32), faces)
