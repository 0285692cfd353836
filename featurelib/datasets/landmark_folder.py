"""The landmark files that a user names: one file, or a folder of them, also with a subfolder per object."""

from collections.abc import Container
from typing import NamedTuple

from featurelib.datasets.landmark_files.formats import POINT_SUFFIXES, suffix_of
from featurelib.datasets.mesh_folder import IGNORED, some
from featurelib.errors import DataError
from featurelib.runtime import storage


class LandmarkFiles(NamedTuple):
    """Path and content of landmark files, their URIs, and lines on how the folder was read."""

    files: list[tuple[str, bytes]]
    uris: frozenset[str]
    notes: tuple[str, ...] = ()


def read_landmark_files(uri: str, object_ids: Container[str]) -> LandmarkFiles:
    """Return a landmark file, or those of a folder; a file in a subfolder named after an object is this object's.

    Raises:
        DataError: if there are none, or one cannot be read.
    """
    if suffix_of(uri) and storage.exists(uri):
        return LandmarkFiles([(uri.rpartition("/")[2], storage.read_bytes(uri))], frozenset([uri]))
    paths = [path for path in storage.list_tree(uri) if not set(path.split("/")) & set(IGNORED) and suffix_of(path)]
    named = [path for path in paths if "/" not in path or path.partition("/")[0] in object_ids]
    if not named:
        found = [path for path in storage.list_tree(uri) if "/" not in path]
        there = f" (there are {some(found)})" if found else ""
        raise DataError(f"{uri}: no landmark files{there}; expected {', '.join(POINT_SUFFIXES)}, or a folder of them")
    uris = {path: storage.join(uri, path) for path in named}
    inside, elsewhere = [path for path in named if "/" in path], [path for path in paths if path not in named]
    notes = [f"landmark files in a subfolder belong to the object of its name: {some(inside)}"] if inside else []
    notes += [f"landmark files in subfolders without a mesh are not read: {some(elsewhere)}"] if elsewhere else []
    files = [(path, storage.read_bytes(uris[path])) for path in named]
    return LandmarkFiles(files, frozenset(uris.values()), tuple(notes))
