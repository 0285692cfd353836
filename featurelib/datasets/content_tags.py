"""Tags of the meshes' content, which name the shards of a rendering and the parts of a prediction.

A dataset is opened with the tags of its listing. On S3 these are ETags and depend on the content. On a local disk they
are size, time of change and inode; here they are replaced by the SHA-256 of the content.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.schemas import INPUTS
from featurelib.errors import DataError
from featurelib.runtime import parquet, storage

READERS = 4
"""Threads that read and hash files; hashing releases the GIL."""


def content_tag(mesh_sha256: str | None) -> str | None:
    """Return the tag of a local file with this SHA-256; None if it is missing or cannot be read."""
    return None if mesh_sha256 is None else f"sha256:{mesh_sha256}"


def sha256_of_file(uri: str) -> str | None:
    """Return the SHA-256 of a file's content; None if it cannot be read."""
    try:
        return sha256(storage.read_bytes(uri)).hexdigest()
    except DataError:
        return None


def with_content_tags(dataset: Dataset) -> Dataset:
    """Return the dataset with content tags; files are read where only the tag of the listing is known.

    An unreadable file has none, as a missing one; rendering rejects both with the reason.
    """
    tags = dataset.objects["mesh_tag"].to_pylist()
    unknown = [i for i, tag in enumerate(tags) if _is_of_listing(tag)]
    uris = [dataset.mesh_uri(dataset.objects["mesh"][i].as_py()) for i in unknown]
    with ThreadPoolExecutor(READERS) as pool:
        for i, mesh_sha256 in zip(unknown, pool.map(sha256_of_file, uris), strict=True):
            tags[i] = content_tag(mesh_sha256)
    return with_tags(dataset, tags)


def with_known_tags(dataset: Dataset, inputs_uri: str) -> Dataset:
    """Return the dataset with the content tags that `remember_tags` wrote for files unchanged since; none is read."""
    if storage.is_s3(dataset.uri) or not storage.exists(inputs_uri):
        return dataset
    known, listed = parquet.read_table(inputs_uri), dataset.objects["mesh_tag"]
    found = pc.take(known["content_tag"], pc.index_in(listed, known["mesh_tag"]))
    return with_tags(dataset, pc.coalesce(found, listed))


def remember_tags(inputs_uri: str, dataset: Dataset, tagged: Dataset) -> None:
    """Write a table of schemas.INPUTS: the tags of a listing, and the content tags of the same objects."""
    if storage.is_s3(dataset.uri):
        return
    table = pa.table([dataset.objects["mesh_tag"], tagged.objects["mesh_tag"]], schema=INPUTS)
    if not (storage.exists(inputs_uri) and table.equals(parquet.read_table(inputs_uri))):
        parquet.write_table(inputs_uri, table, compression="zstd")


def with_tags(dataset: Dataset, tags: Sequence[str | None] | pa.ChunkedArray) -> Dataset:
    """Return the dataset with other tags, one per object."""
    column = dataset.objects.schema.get_field_index("mesh_tag")
    values = tags if isinstance(tags, pa.ChunkedArray) else pa.array(tags, pa.string())
    return replace(dataset, objects=dataset.objects.set_column(column, "mesh_tag", values))


def _is_of_listing(tag: str | None) -> bool:
    """Whether a tag changes with a local file's time and place instead of its content."""
    return tag is not None and ":mtime:" in tag
