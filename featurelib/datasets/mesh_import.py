"""Mesh files of any folder to the `meshes/` of a dataset: read once, then copied, converted or linked."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.landmark_files.placement import OffMesh, off_mesh
from featurelib.errors import DataError, UsageError
from featurelib.geometry import SIDES
from featurelib.meshes import MESH_SUFFIXES, parse_mesh
from featurelib.meshes.conversion import as_ply, pack_gltf
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime import storage

MATERIALS = re.compile(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", re.MULTILINE)
TEXTURES = re.compile(rb"^[ \t]*(map_|norm|bump|refl)", re.MULTILINE)
PLY_TEXTURE = re.compile(rb"^comment TextureFile ", re.MULTILINE)

HEADER_BYTES = 4096


@dataclass(frozen=True, eq=False)
class MeshJob:
    """One mesh to import.

    uri: of its file. folder: where it goes; None if it is only read. link: whether to link instead of copying.
    mm_from_source: (4, 4). landmarks_mm: (k, 3) landmarks in the axes of the file, NaN where not labelled, None without
    labels. names: of the landmarks in messages.
    """

    object_id: str
    uri: str
    folder: str | None
    link: bool
    mm_from_source: NDArray[np.float64]
    landmarks_mm: NDArray[np.float64] | None = None
    names: tuple[str, ...] = SIDES


@dataclass(frozen=True)
class ImportedMesh:
    """A mesh that was imported.

    name: of its file in the dataset. notes: see `Mesh`. has_unread_textures: whether it has textures in other files.
    beside: URIs of the files that were read together with it. off: the landmarks' distances, None without labels.
    """

    name: str
    notes: tuple[str, ...]
    has_unread_textures: bool
    beside: tuple[str, ...]
    off: OffMesh | None


def import_mesh(job: MeshJob) -> ImportedMesh:
    """Read a mesh, and write its file to the dataset as `<object_id><ending>`.

    Raises:
        DataError: if the file cannot be read, converted or written; then nothing is written.
        UsageError: if a link is not between local folders.
    """
    beside = FilesBeside(job.uri)
    content, name = read_mesh_file(job.uri, beside)
    mesh = parse_mesh(content, name, job.mm_from_source)
    suffix = split_mesh_name(name)[1]
    target = name if job.folder is None else job.object_id + name[-len(suffix) :]
    has_textures = has_unread_textures(content, suffix, beside)
    off = None if job.landmarks_mm is None else off_mesh(job.landmarks_mm, mesh.vertices_mm, mesh.faces, job.names)
    if job.folder is not None:
        _write(job, content, storage.join(job.folder, target))
    return ImportedMesh(target, mesh.notes, has_textures, tuple(beside.uris), off)


class FilesBeside:
    """Reads the files that a mesh file names by relative paths. uris: of those that were read.

    Files outside of the mesh file's folder are not read, whatever the path.
    """

    def __init__(self, uri: str) -> None:
        """Take the URI of the mesh file."""
        self.folder = uri.rpartition("/")[0]
        self.uris: list[str] = []

    def __call__(self, path: str) -> bytes | None:
        """Return the content of a file; None if there is none."""
        for relative in dict.fromkeys((path, unquote(path), path.replace("\\", "/"))):
            parts = PurePosixPath(relative)
            if not relative or "\0" in relative or parts.is_absolute() or ".." in parts.parts:
                continue
            uri = storage.join(self.folder, str(parts))
            try:
                content = storage.read_bytes(uri)
            except DataError:
                continue
            self.uris.append(uri)
            return content
        return None


def read_mesh_file(uri: str, beside: FilesBeside | None = None) -> tuple[bytes, str]:
    """Return a mesh file's content and name, packed to GLB or converted to PLY if it has another format."""
    content, name = storage.read_bytes(uri), uri.rpartition("/")[2]
    stem, suffix = split_mesh_name(name)
    if suffix == ".gltf":
        try:
            return pack_gltf(content, beside or FilesBeside(uri)), f"{stem}.glb"
        except DataError as error:
            raise DataError(f"{name}: {error}") from None
    if suffix in MESH_SUFFIXES:
        return content, name
    return as_ply(content, suffix, name), f"{stem}.ply"


def has_unread_textures(content: bytes, suffix: str, read: Callable[[str], bytes | None]) -> bool:
    """Return whether a mesh file has textures in other files, which no reader opens."""
    if suffix == ".ply":
        return bool(PLY_TEXTURE.search(content[:HEADER_BYTES]))
    if suffix != ".obj" or b"mtllib" not in content:
        return False
    names = {name.decode("utf-8", "surrogateescape") for name in MATERIALS.findall(content)}
    return any(TEXTURES.search(read(name) or b"") for name in names)


def _write(job: MeshJob, content: bytes, target: str) -> None:
    """Write a mesh to its file in the dataset, unless it is this file."""
    if target == job.uri:
        return
    if job.link and split_mesh_name(job.uri)[1] == split_mesh_name(target)[1]:
        _link(job.uri, target)
    else:
        storage.write_bytes(target, content)


def _link(uri: str, target: str) -> None:
    if storage.is_s3(uri) or storage.is_s3(target):
        raise UsageError("--link: only a local folder can link to a local one; leave it out to copy")
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).unlink(missing_ok=True)
    Path(target).symlink_to(uri)
