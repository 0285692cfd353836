"""A file's bytes to a mesh in the object frame, or one line on what is wrong with it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError, GeometryError
from featurelib.geometry import apply
from featurelib.meshes.limits import MAX_COORDINATE_MM, Limits
from featurelib.meshes.mesh import Mesh
from featurelib.meshes.readers.glb import read_glb
from featurelib.meshes.readers.obj import read_obj
from featurelib.meshes.readers.off import read_off
from featurelib.meshes.readers.ply import read_ply
from featurelib.meshes.readers.polygons import RawMesh, refuse_missing_vertices
from featurelib.meshes.readers.sniffing import refuse_other_content
from featurelib.meshes.readers.stl import read_stl
from featurelib.runtime import storage

__all__ = ["MAX_COORDINATE_MM", "MESH_SUFFIXES", "load_mesh"]

_READERS: dict[str, Callable[[bytes, Limits], RawMesh]] = {
    ".ply": read_ply,
    ".obj": read_obj,
    ".stl": read_stl,
    ".glb": read_glb,
    ".off": read_off,
}

MESH_SUFFIXES = tuple(_READERS)
"""Mesh files that can be read, by their lower-case ending."""

DEFAULT_LIMITS = Limits()


def load_mesh(
    data: bytes,
    file_type: str,
    object_from_source: NDArray[np.floating],
    *,
    name: str,
    limits: Limits = DEFAULT_LIMITS,
) -> Mesh:
    """Return the mesh of a file's bytes in the object frame; a scene's parts become one mesh.

    Nobody need have checked the bytes: whatever they are, the end is a mesh of finite numbers or a DataError.

    Args:
        data: the whole file.
        file_type: its ending, one of MESH_SUFFIXES (the dot and upper case do not matter).
        object_from_source: (4, 4) from the file's axes and unit to the object frame, in mm.
        name: the file as the user knows it; every error begins with it.
        limits: how much of the file is believed.

    Raises:
        DataError: if the bytes are no such file, or no surface of plausible size comes out; one line.
    """
    try:
        with np.errstate(all="ignore"):  # what overflows here is refused by its value
            return _checked(_read(data, "." + file_type.lower().removeprefix("."), limits), object_from_source, limits)
    except (DataError, GeometryError) as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # noqa: BLE001 (damaged bytes make NumPy and Pillow raise any error, also MemoryError)
        reason = " ".join(str(error).split())[:200] or "no reason given"
        raise DataError(f"{name}: cannot be read, {type(error).__name__}: {reason} (the file is damaged)") from None


def _read(data: bytes, suffix: str, limits: Limits) -> RawMesh:
    """Return a file's mesh as it stands in it."""
    if suffix not in _READERS:
        known = ", ".join(MESH_SUFFIXES)
        raise DataError(f"meshes of type {suffix.removeprefix('.')!r} cannot be read; expected {known}")
    if not data:
        raise DataError("the file is empty; copy it again")
    if len(data) > limits.max_file_bytes:
        raise DataError(f"{len(data):,} bytes; expected at most {limits.max_file_bytes:,} (simplify the mesh)")
    refuse_other_content(data, suffix)
    return _READERS[suffix](data, limits)


def _checked(raw: RawMesh, object_from_source: NDArray[np.floating], limits: Limits) -> Mesh:
    """Return the mesh in the object frame if a surface comes out that can be rendered."""
    limits.check_counts(len(raw.vertices), len(raw.faces))
    finite = np.isfinite(raw.vertices)
    if not finite.all():
        bad = int((~finite).any(axis=1).argmax())
        place = ", ".join(f"{value:g}" for value in raw.vertices[bad])
        raise DataError(f"vertex {bad} is NaN or infinite: ({place}); expected finite numbers (export it again)")
    refuse_missing_vertices(raw.faces, len(raw.vertices))
    raw = _without_strays(raw)
    vertices_mm = apply(object_from_source, raw.vertices)
    _refuse_implausible(vertices_mm, limits)
    mesh = Mesh.smooth(vertices_mm, raw.faces, colours=raw.colours, uv=raw.uv, texture=raw.texture)
    if not mesh.normals.any() and not _has_area(vertices_mm, raw.faces):
        raise DataError(f"none of its {len(raw.faces):,} faces has an area; expected a surface, not lines or points")
    return mesh


def _without_strays(raw: RawMesh) -> RawMesh:
    """Leave out points of no face: they would shift the bounding box, at whose centre the cameras look."""
    used = np.zeros(len(raw.vertices), dtype=bool)
    used[raw.faces] = True
    if used.all():
        return raw
    colours = None if raw.colours is None else raw.colours[used]
    uv = None if raw.uv is None else raw.uv[used]
    return RawMesh(raw.vertices[used], (np.cumsum(used) - 1)[raw.faces], colours, uv, raw.texture)


def _refuse_implausible(vertices_mm: NDArray[np.float64], limits: Limits) -> None:
    """Raise DataError if the size or the place is none that an object has in millimetres."""
    size_mm = float(np.ptp(vertices_mm, axis=0).max())
    farthest_mm = float(np.abs(vertices_mm).max())
    if size_mm == 0:
        x, y, z = vertices_mm[0]
        raise DataError(f"all vertices in one point, ({x:g}, {y:g}, {z:g}) mm; expected a surface")
    if not limits.min_size_mm <= size_mm <= limits.max_size_mm:
        raise DataError(
            f"{size_mm:g} mm along its longest side; expected {limits.min_size_mm:g} to {limits.max_size_mm:g} mm "
            "(is the unit right?)"
        )
    farthest_allowed_mm = min(limits.max_coordinate_mm, limits.max_offset_sizes * size_mm)
    if not farthest_mm <= farthest_allowed_mm:
        raise DataError(
            f"a vertex {farthest_mm:g} mm from the origin, in a mesh of {size_mm:g} mm; expected at most "
            f"{farthest_allowed_mm:g} mm (move it to the origin)"
        )


def _has_area(vertices_mm: NDArray[np.float64], faces: NDArray[np.integer]) -> bool:
    """Tell whether any face is more than a line; normals can also vanish where two sides of a sheet cancel out."""
    corners = vertices_mm[faces]
    return bool(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).any())


def read_mesh(uri: str, object_from_source: NDArray[np.float64]) -> Mesh:
    """Read a dataset's mesh file, local or on S3, into the object frame.

    Raises:
        DataError: if the file is missing or is not a usable mesh.
    """
    return parse_mesh(storage.read_bytes(uri), uri, object_from_source)


def parse_mesh(content: bytes, uri: str, object_from_source: NDArray[np.float64]) -> Mesh:
    """Return the mesh of a dataset's file that has been read.

    Raises:
        DataError: if the content is not a usable mesh.
    """
    name = uri.rpartition("/")[2]
    return load_mesh(content, name.rpartition(".")[2], object_from_source, name=f"meshes/{name}")
