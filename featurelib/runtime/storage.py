"""Files by URI: a local path or `s3://bucket/key`. Whatever is written appears whole or not at all.

Local files are written beside their place under a dotted name and renamed; S3 objects appear whole by themselves.
How S3 is spoken to, its settings, retries and errors, is featurelib.runtime.s3's.
"""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.fs as pafs

from featurelib.errors import ConflictError, DataError
from featurelib.runtime import s3


class Entry(NamedTuple):
    """One file of a listing: its name within the folder, its size in bytes and a tag that changes with it."""

    name: str
    size: int
    tag: str


def is_s3(uri: str) -> bool:
    """Whether the URI names an object store."""
    return uri.startswith("s3://")


def join(uri: str, *names: str) -> str:
    """Return the URI of something below a folder."""
    return "/".join([uri.rstrip("/") if uri != "/" else "", *names])


def absolute(uri: str) -> str:
    """Return the URI as every process of a job understands it: local paths become absolute."""
    return uri.rstrip("/") if is_s3(uri) else str(Path(uri).expanduser().absolute())


def read_bytes(uri: str) -> bytes:
    """Return a file's content.

    Raises:
        DataError: if there is no such file or it cannot be read.
    """
    if is_s3(uri):
        return s3.get(uri)
    try:
        return Path(uri).read_bytes()
    except OSError as error:
        raise DataError(f"{uri}: cannot be read ({error.strerror})") from None


def write_bytes(uri: str, content: bytes) -> None:
    """Write a file whole, replacing one of the same name; folders are made as needed.

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
    """Write a file whole, but only if it is still the one of `expected_tag` (None: if there is none).

    Of two writers that expect the same, one wins. S3 decides by a conditional PUT, local files by a lock.

    Raises:
        ConflictError: if somebody else wrote it meanwhile.
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
            raise ConflictError(f"{uri}: was written by somebody else meanwhile")
        write_bytes(uri, content)


def tag(uri: str) -> str | None:
    """Return what changes with a file, or None if there is no such file."""
    if not is_s3(uri):
        path = Path(uri)
        return _local_tag(path.stat()) if path.is_file() else None
    folder, _, name = uri.rpartition("/")
    return next((entry.tag for entry in _list_s3(folder, prefix=name) if entry.name == name), None)


def list_files(uri: str) -> list[Entry]:
    """Return the files directly in a folder, sorted by name; empty if there is no such folder.

    Names that begin with a dot are left out: they are writes that never ended.
    """
    return sorted(_list_s3(uri) if is_s3(uri) else _list_local(uri))


def exists(uri: str) -> bool:
    """Whether there is a file of this name."""
    return tag(uri) is not None


def delete(uri: str) -> None:
    """Remove a file; nothing happens if there is none."""
    if is_s3(uri):
        s3.call(uri, lambda client, where: client.delete_object(**where))
    else:
        Path(uri).unlink(missing_ok=True)


def copy_from_local(path: Path, uri: str) -> None:
    """Copy a local file to a URI."""
    write_bytes(uri, path.read_bytes())


def copy_to_local(uri: str, path: Path) -> Path:
    """Copy a file to a local path and return it; some readers (Keras) want a real file."""
    path.write_bytes(read_bytes(uri))
    return path


def arrow_filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return a pyarrow file system and the path of `uri` in it, with the same S3 settings as this module's."""
    if not is_s3(uri):
        return pafs.LocalFileSystem(), uri
    return s3.arrow_filesystem(), uri.removeprefix("s3://")


def _list_local(uri: str) -> list[Entry]:
    if not Path(uri).is_dir():
        return []
    with os.scandir(uri) as found:
        # Dotted names are not even looked at: they vanish under the reader when their writer ends.
        stats = [(entry.name, entry.stat()) for entry in found if entry.name[0] != "." and entry.is_file()]
    return [Entry(name, stat.st_size, _local_tag(stat)) for name, stat in stats]


def _local_tag(stat: os.stat_result) -> str:
    return f"mtime:{stat.st_mtime_ns}:{stat.st_ino}"  # every whole write is a new inode


def _list_s3(uri: str, prefix: str = "") -> list[Entry]:
    """Return the objects directly below `uri` whose names begin with `prefix`."""

    def pages(client: Any, where: dict[str, str]) -> list[Entry]:
        paginator = client.get_paginator("list_objects_v2")
        found = paginator.paginate(Bucket=where["Bucket"], Prefix=where["Key"], Delimiter="/")
        rows = [row for page in found for row in page.get("Contents", ())]
        names = [row["Key"].rpartition("/")[2] for row in rows]
        return [
            Entry(name, row["Size"], f"etag:{row['ETag']}")
            for name, row in zip(names, rows, strict=True)
            if name and name[0] != "."  # consoles mark a folder with an object whose key ends with its slash
        ]

    return s3.call(join(uri, prefix), pages)
