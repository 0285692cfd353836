"""Load a mesh file into the object frame, or raise an error of one line."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError, GeometryError
from featurelib.geometry import apply
from featurelib.meshes.file_names import split_mesh_name
from featurelib.meshes.limits import Limits
from featurelib.meshes.mesh import Mesh
from featurelib.meshes.plain_colours import without_plain_colours
from featurelib.meshes.readers.glb import read_glb, read_gltf
from featurelib.meshes.readers.gzipped import gunzip
from featurelib.meshes.readers.obj import read_obj
from featurelib.meshes.readers.off import read_off
from featurelib.meshes.readers.ply import read_ply
from featurelib.meshes.readers.polygons import RawMesh, refuse_missing_vertices
from featurelib.meshes.readers.sniffing import is_binary_stl, refuse_other_content
from featurelib.meshes.readers.stl import read_stl
from featurelib.meshes.readers.text import in_utf8, undefined_word
from featurelib.meshes.readers.vtk import read_vtk
from featurelib.meshes.readers.vtp import read_vtp
from featurelib.runtime import storage

__all__ = ["MESH_SUFFIXES", "load_mesh", "parse_mesh", "read_mesh"]

_READERS: dict[str, Callable[[bytes, Limits], RawMesh]] = {
    ".ply": read_ply,
    ".obj": read_obj,
    ".stl": read_stl,
    ".glb": read_glb,
    ".off": read_off,
    ".gltf": read_gltf,
    ".vtk": read_vtk,
    ".vtp": read_vtp,
}

MESH_SUFFIXES = (*_READERS, ".ply.gz", ".obj.gz", ".stl.gz", ".off.gz", ".vtk.gz")
"""Lower-case endings of the mesh files that can be read."""

_TEXTS = (".ply", ".obj", ".stl", ".off", ".vtk")
"""Types whose text may begin with a byte order mark; those of JSON and XML have parsers that know it."""

DEFAULT_LIMITS = Limits()


def load_mesh(
    data: bytes,
    file_type: str,
    object_from_source: NDArray[np.floating],
    *,
    name: str,
    limits: Limits = DEFAULT_LIMITS,
) -> Mesh:
    """Return the mesh of a file's bytes in the object frame; the parts of a scene are joined to one mesh.

    The bytes may be untrusted: the result is always a mesh of finite numbers or a DataError.

    Args:
        data: the whole file.
        file_type: its ending, one of MESH_SUFFIXES, with or without the dot, in any case.
        object_from_source: (4, 4) from the file's axes and unit to the object frame, in mm.
        name: the file's name for the user; every error begins with it.
        limits: of the file.

    Raises:
        DataError: if the bytes are not a file of this type, or the mesh has no surface of plausible size; one line.
    """
    try:
        with np.errstate(all="ignore"):  # values that overflow are rejected below
            raw = _read(data, "." + file_type.lower().removeprefix("."), limits)
            if not np.isfinite(raw.vertices).all():
                raw = _without_undefined(raw, data, limits)
            return _checked(raw, object_from_source, limits)
    except (DataError, GeometryError) as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # noqa: BLE001 (damaged bytes make NumPy and Pillow raise any error, also MemoryError)
        reason = " ".join(str(error).split())[:200] or "no reason given"
        raise DataError(f"{name}: cannot be read, {type(error).__name__}: {reason} (the file is damaged)") from None


def _read(data: bytes, suffix: str, limits: Limits) -> RawMesh:
    """Return the unchecked mesh of a file."""
    if suffix not in MESH_SUFFIXES:
        known = ", ".join(MESH_SUFFIXES)
        raise DataError(f"type {suffix.removeprefix('.')!r} cannot be read; expected one of {known}")
    if not data:
        raise DataError("the file is empty; copy it again")
    if len(data) > limits.max_file_bytes:
        raise DataError(f"{len(data):,} bytes; expected at most {limits.max_file_bytes:,} (simplify the mesh)")
    packed = ".gz" if suffix.endswith(".gz") else ""
    if packed:
        data, suffix = gunzip(data, limits), suffix.removesuffix(packed)
    if suffix in _TEXTS and not is_binary_stl(data):
        data = in_utf8(data)
    refuse_other_content(data, suffix, packed)
    return _READERS[suffix](data, limits)


def _checked(raw: RawMesh, object_from_source: NDArray[np.floating], limits: Limits) -> Mesh:
    """Return the mesh in the object frame; raise DataError or GeometryError if it cannot be rendered."""
    limits.check_counts(len(raw.vertices), len(raw.faces))
    refuse_missing_vertices(raw.faces, len(raw.vertices))
    raw = without_plain_colours(_without_strays(raw))
    vertices_mm = apply(object_from_source, raw.vertices)
    _refuse_implausible(vertices_mm, raw.vertices.dtype == np.float32, limits)
    mesh = Mesh.smooth(vertices_mm, raw.faces, colours=raw.colours, uv=raw.uv, texture=raw.texture)
    if not mesh.normals.any() and not _has_area(vertices_mm, raw.faces):
        raise DataError(f"none of its {len(raw.faces):,} faces has an area; expected a surface, not lines or points")
    return replace(mesh, notes=raw.notes) if raw.notes else mesh


def _without_undefined(raw: RawMesh, data: bytes, limits: Limits) -> RawMesh:
    """Remove the faces with a NaN or infinite corner, of which there may be few; vertices of no face are removed later.

    Raises:
        DataError: naming the first such corner if there are many, or if a face refers to a missing vertex.
    """
    refuse_missing_vertices(raw.faces, len(raw.vertices))
    undefined = ~np.isfinite(raw.vertices).all(axis=1)
    left_out = undefined[raw.faces].any(axis=1)
    count, total = int(left_out.sum()), len(left_out)
    if count > total * (limits.max_single_share if count == 1 else limits.max_undefined_share):
        bad = int(np.flatnonzero(undefined)[np.isin(np.flatnonzero(undefined), raw.faces[left_out])][0])
        place = ", ".join(f"{value:g}" for value in raw.vertices[bad])
        word = undefined_word(data)
        raise DataError(
            f"vertex {bad} is NaN or infinite: ({place}){f', written {word}' if word else ''}; "
            "expected finite numbers (export it again)"
        )
    note = (f"left out {count:,} of {total:,} faces with a NaN or infinite corner",) if count else ()
    return raw._replace(faces=raw.faces[~left_out], notes=raw.notes + note)


def _without_strays(raw: RawMesh) -> RawMesh:
    """Remove vertices of no face, which would move the centre of the bounding box, at which the cameras aim."""
    used = np.zeros(len(raw.vertices), dtype=bool)
    used[raw.faces] = True
    if used.all():
        return raw
    colours = None if raw.colours is None else raw.colours[used]
    uv = None if raw.uv is None else raw.uv[used]
    faces = (np.cumsum(used) - 1)[raw.faces]
    return raw._replace(vertices=raw.vertices[used], faces=faces, colours=colours, uv=uv)


def _refuse_implausible(vertices_mm: NDArray[np.float64], is_single: bool, limits: Limits) -> None:
    """Raise DataError if the size or the position in millimetres is implausible, or too far for single precision."""
    size_mm = float(np.ptp(vertices_mm, axis=0).max())
    farthest_mm = float(np.abs(vertices_mm).max())
    if size_mm == 0:
        x, y, z = vertices_mm[0]
        raise DataError(f"all vertices are at one point, ({x:g}, {y:g}, {z:g}) mm; expected a surface")
    if not limits.min_size_mm <= size_mm <= limits.max_size_mm:
        raise DataError(
            f"{size_mm:g} mm along its longest edge; expected {limits.min_size_mm:g} to {limits.max_size_mm:g} mm "
            "(check the unit)"
        )
    farthest_single_mm = limits.max_offset_sizes * size_mm if is_single else limits.max_coordinate_mm
    farthest_allowed_mm = min(limits.max_coordinate_mm, farthest_single_mm)
    if not farthest_mm <= farthest_allowed_mm:
        is_stepped = farthest_single_mm < limits.max_coordinate_mm
        raise DataError(
            f"a vertex is {farthest_mm:g} mm from the origin, in a mesh of {size_mm:g} mm; expected at most "
            f"{farthest_allowed_mm:g} mm{' in single precision' if is_stepped else ''} (move it to the origin)"
        )


def _has_area(vertices_mm: NDArray[np.float64], faces: NDArray[np.integer]) -> bool:
    """Whether any face has an area; normals can also be zero because those of opposite faces cancel."""
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
    return load_mesh(content, split_mesh_name(name)[1], object_from_source, name=f"meshes/{name}")
