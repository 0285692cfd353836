"""The file of one shard: rows to Parquet and back. A row group holds one object, so that readers can skip others."""

import io
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import and_
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from featurelib.datasets.schemas import shard_schema
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import parquet, storage

RECEIPT_KEY = b"featurelib.receipt"


@dataclass(frozen=True)
class Receipt:
    """The counts of a shard, kept in the file's footer for later runs.

    name, bucket: from the plan. objects, views: counts by split. channels: 1 for grey, 3 for colour, 0 without images.
    rejects: rows of schemas.REJECTS for the members without views.
    """

    name: str
    bucket: int
    objects: dict[str, int] = field(default_factory=dict)
    views: dict[str, int] = field(default_factory=dict)
    channels: int = 0
    rejects: tuple[dict[str, str], ...] = ()

    @property
    def num_objects(self) -> int:
        """Number of members of the shard, rendered or rejected."""
        return sum(self.objects.values()) + len(self.rejects)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the receipt that `to_dict` wrote."""
        return cls(**{**values, "rejects": tuple(values["rejects"])})


def write_shard(uri: str, rows: Sequence[dict[str, Any]], receipt: Receipt, landmarks: LandmarkSet) -> Receipt:
    """Write the views of some objects as one file and return the receipt with its counts.

    Args:
        uri: of the file.
        rows: of schemas.shard_schema, with all views of an object together.
        receipt: with name, bucket and rejects.
        landmarks: the dataset's set.
    """
    first_views = [row for row in rows if row["view"] == 0]
    receipt = Receipt(
        receipt.name,
        receipt.bucket,
        objects=dict(sorted(Counter(row["split"] for row in first_views).items())),
        views=dict(sorted(Counter(row["split"] for row in rows).items())),
        channels=max((3 if Image.open(io.BytesIO(row["png"])).mode == "RGB" else 1 for row in first_views), default=0),
        rejects=receipt.rejects,
    )
    footer = {RECEIPT_KEY: json.dumps(receipt.to_dict(), sort_keys=True).encode()}
    schema = shard_schema(landmarks).with_metadata(footer)
    num_views = len(rows) // max(1, len(first_views))
    parquet.write_table(
        uri,
        pa.Table.from_pylist(list(rows), schema=schema),
        row_group_size=max(1, num_views),
        compression={name: "none" if name == "png" else "zstd" for name in schema.names},  # a PNG is compressed already
    )
    return receipt


def read_receipt(uri: str) -> Receipt:
    """Return the receipt in a shard's footer; the images are not read.

    Raises:
        DataError: if the shard is missing or damaged.
    """
    filesystem, path = storage.arrow_filesystem(uri)
    with _readable(uri):
        metadata = pq.read_schema(path, filesystem=filesystem).metadata
    return Receipt.from_dict(json.loads(metadata[RECEIPT_KEY]))


def read_views(
    uri: str,
    *,
    object_id: str | None = None,
    object_ids: Collection[str] | None = None,
    split: str | None = None,
    view: int | None = None,
    columns: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return a shard's rows as plain values; row groups of other objects or splits are not read.

    Args:
        uri: of the shard.
        object_id: take only this object's rows.
        object_ids: take only the rows of these objects.
        split: take only this split's rows.
        view: take only this view's rows.
        columns: take only these columns.

    Raises:
        DataError: if the shard is missing or damaged.
    """
    filesystem, path = storage.arrow_filesystem(uri)
    wanted = {"object_id": object_id, "split": split, "view": view}
    filters = [pc.field(name) == value for name, value in wanted.items() if value is not None]
    if object_ids is not None:
        filters.append(pc.field("object_id").isin(pa.array(list(object_ids), pa.string())))
    with _readable(uri):
        table = pq.read_table(
            path,
            filesystem=filesystem,
            columns=None if columns is None else list(columns),
            filters=reduce(and_, filters) if filters else None,
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    """Turn pyarrow's error on a missing or damaged file into DataError."""
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{uri}: not a readable shard ({error}); delete it and run `featurelib render` again") from None
