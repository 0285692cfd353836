"""Mesh files of any folder to the `meshes/` of a dataset: copied, converted or linked."""

from pathlib import Path

from featurelib.errors import UsageError
from featurelib.meshes import MESH_SUFFIXES
from featurelib.meshes.conversion import as_ply
from featurelib.runtime import storage


def import_mesh(uri: str, folder: str, *, link: bool) -> None:
    """Copy a mesh file into a folder, converted to PLY if it has a foreign format, or link to it.

    Raises:
        DataError: if the file cannot be read, converted or written.
        UsageError: if a link is not between local folders.
    """
    name = uri.rpartition("/")[2]
    target = storage.join(folder, name)
    if target == uri:
        return
    if link and _has_mesh_suffix(name):
        if storage.is_s3(uri) or storage.is_s3(folder):
            raise UsageError("--link: only a local folder can link to a local one; leave it out to copy")
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(target).unlink(missing_ok=True)
        Path(target).symlink_to(uri)
        return
    content, name = read_mesh_file(uri)
    storage.write_bytes(storage.join(folder, name), content)


def read_mesh_file(uri: str) -> tuple[bytes, str]:
    """Return a mesh file's content and name, converted to PLY if it has a foreign format."""
    content, name = storage.read_bytes(uri), uri.rpartition("/")[2]
    if _has_mesh_suffix(name):
        return content, name
    stem, _, suffix = name.rpartition(".")
    return as_ply(content, suffix.lower(), name), f"{stem}.ply"


def _has_mesh_suffix(name: str) -> bool:
    return "." + name.rpartition(".")[2].lower() in MESH_SUFFIXES
