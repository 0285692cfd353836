"""Files by URI: a local path or `s3://bucket/key`. Writes are atomic.

A local file is written next to its destination under a dotted name and then renamed; S3 writes are atomic by design.
`featurelib.runtime.s3` has the settings, retries and errors of object stores.
"""

import fcntl
import os
import posixpath
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.fs as pafs

from featurelib.errors import ConflictError, DataError
from featurelib.runtime import s3

TREE_DEPTH = 4
"""Number of subfolders below each other that `list_tree` enters: a link may lead back to a folder above it."""

EDITS = 20
"""Number of attempts of an edit while others write the file."""


class Entry(NamedTuple):
    """One file of a listing: its name within the folder, its size in bytes, and a tag that changes with its content."""

    name: str
    size: int
    tag: str


def is_s3(uri: str) -> bool:
    """Return whether the URI is in an object store."""
    return uri.startswith("s3://")


def join(uri: str, *names: str) -> str:
    """Return the URI of a path below a folder."""
    return "/".join([uri.rstrip("/") if uri != "/" else "", *names])


def resolve(uri: str, relative: str) -> str:
    """Return the URI of a path relative to a folder; it may begin with `..`."""
    scheme, separator, path = uri.rpartition("://")
    return scheme + separator + posixpath.normpath(f"{path}/{relative}")


def absolute(uri: str) -> str:
    """Return a URI that is valid in every process of a job: local paths become absolute."""
    return uri.rstrip("/") if is_s3(uri) else str(Path(uri).expanduser().absolute())


def read_bytes(uri: str) -> bytes:
    """Return a file's content.

    Raises:
        DataError: if the file does not exist or cannot be read.
    """
    if is_s3(uri):
        return s3.get(uri)
    try:
        return Path(uri).read_bytes()
    except OSError as error:
        raise DataError(f"{uri}: cannot be read ({error.strerror})") from None


def write_bytes(uri: str, content: bytes) -> None:
    """Write a file atomically, replacing an existing one; create folders as needed.

    Raises:
        DataError: if it cannot be written.
    """
    if is_s3(uri):
        s3.put(uri, content)
        return
    path = Path(uri)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o644)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink()
            raise
    except OSError as error:
        raise DataError(f"{uri}: cannot be written ({error.strerror})") from None


def swap_bytes(uri: str, content: bytes, expected_tag: str | None) -> None:
    """Write a file atomically if its tag is still `expected_tag` (None: if it does not exist).

    Of two writers with the same expectation, one succeeds: S3 has conditional PUTs, local files have a lock.

    Raises:
        ConflictError: if another writer changed the file.
        DataError: if it cannot be written.
    """
    if is_s3(uri):
        s3.put_if(uri, content, expected_tag and expected_tag.removeprefix("etag:"))
        return
    path = Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if tag(uri) != expected_tag:
            raise ConflictError(f"{uri}: was changed by another writer; read it again")
        write_bytes(uri, content)


def edit_bytes(uri: str, edit: Callable[[bytes], bytes]) -> None:
    """Replace a file's content (empty without a file) by a function of it; try again if others write it meanwhile.

    Raises:
        ConflictError: if others keep writing it.
        DataError: if it cannot be read or written.
    """
    for _ in range(EDITS):
        expected_tag = tag(uri)
        content = read_bytes(uri) if expected_tag else b""
        if (edited := edit(content)) == content:
            return
        try:
            swap_bytes(uri, edited, expected_tag)
        except ConflictError:
            continue
        return
    raise ConflictError(f"{uri.rpartition('/')[2]}: others keep writing it; save again")


def tag(uri: str) -> str | None:
    """Return a tag that changes with a file's content, or None if the file does not exist."""
    if not is_s3(uri):
        path = Path(uri)
        return _local_tag(path.stat()) if path.is_file() else None
    folder, _, name = uri.rpartition("/")
    return next((entry.tag for entry in _list_s3(folder, prefix=name) if entry.name == name), None)


def list_files(uri: str) -> list[Entry]:
    """Return the files directly in a folder, sorted by name; empty if the folder does not exist.

    Names that begin with a dot are omitted: they are unfinished writes.
    """
    return sorted(_list_s3(uri) if is_s3(uri) else _list_local(uri))


def list_tree(uri: str) -> list[str]:
    """Return the paths of all files below a folder, sorted, without names that begin with a dot.

    Local folders are entered to TREE_DEPTH.
    """
    return sorted(_tree_s3(uri) if is_s3(uri) else _tree_local(uri))


def exists(uri: str) -> bool:
    """Return whether the file exists."""
    return tag(uri) is not None


def delete(uri: str) -> None:
    """Delete a file if it exists."""
    if is_s3(uri):
        s3.call(uri, lambda client, where: client.delete_object(**where))
    else:
        Path(uri).unlink(missing_ok=True)


def arrow_filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return a pyarrow file system with the S3 settings of this module, and the path of `uri` in it."""
    if not is_s3(uri):
        return pafs.LocalFileSystem(), uri
    return s3.arrow_filesystem(), uri.removeprefix("s3://")


def _list_local(uri: str) -> list[Entry]:
    if not Path(uri).is_dir():
        return []
    with os.scandir(uri) as found:
        # Do not stat dotted names: they disappear when their writer finishes.
        stats = [(entry.name, entry.stat()) for entry in found if entry.name[0] != "." and entry.is_file()]
    return [Entry(name, stat.st_size, _local_tag(stat)) for name, stat in stats]


def _tree_local(uri: str, depth: int = TREE_DEPTH) -> list[str]:
    if not Path(uri).is_dir():
        return []
    with os.scandir(uri) as found:
        entries = [(entry.name, entry.is_dir()) for entry in found if entry.name[0] != "."]
    files = [name for name, is_folder in entries if not is_folder]
    folders = [name for name, is_folder in entries if is_folder and depth > 0]
    return files + [join(name, below) for name in folders for below in _tree_local(join(uri, name), depth - 1)]


def _local_tag(stat: os.stat_result) -> str:
    return f"mtime:{stat.st_mtime_ns}:{stat.st_ino}"  # every atomic write creates an inode


def _tree_s3(uri: str) -> list[str]:
    start = len(join(uri, "").partition("//")[2].partition("/")[2])
    paths = [row["Key"][start:] for row in s3.call(join(uri, ""), _pages(delimiter=""))]
    parts = [(path, path.split("/")) for path in paths]
    return [path for path, names in parts if all(name and name[0] != "." for name in names)]


def _pages(delimiter: str) -> Callable[[Any, dict[str, str]], list[dict[str, Any]]]:
    """Return a call of the client that lists the objects with a prefix, and without the delimiter after it."""

    def pages(client: Any, where: dict[str, str]) -> list[dict[str, Any]]:
        paginator = client.get_paginator("list_objects_v2")
        found = paginator.paginate(Bucket=where["Bucket"], Prefix=where["Key"], Delimiter=delimiter)
        return [row for page in found for row in page.get("Contents", ())]

    return pages


def _list_s3(uri: str, prefix: str = "") -> list[Entry]:
    """Return the objects directly below `uri` whose names begin with `prefix`."""

    def pages(client: Any, where: dict[str, str]) -> list[Entry]:
        rows = _pages("/")(client, where)
        names = [row["Key"].rpartition("/")[2] for row in rows]
        return [
            Entry(name, row["Size"], f"etag:{row['ETag']}")
            for name, row in zip(names, rows, strict=True)
            if name and name[0] != "."  # consoles create an empty object `folder/` for a folder
        ]

    return s3.call(join(uri, prefix), pages)
