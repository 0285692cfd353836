"""Parquet tables by URI, each read and written with one request."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurelib.runtime import storage


def read_table(uri: str) -> pa.Table:
    """Return a whole table.

    Raises:
        DataError: if there is no such file or it cannot be read.
    """
    return pq.read_table(io.BytesIO(storage.read_bytes(uri)))


def write_table(uri: str, table: pa.Table, **options: Any) -> None:
    """Write a table as one file, replacing one of the same name.

    Args:
        uri: of the file.
        table: to be written.
        options: of pyarrow.parquet.write_table.

    Raises:
        DataError: if it cannot be written.
    """
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    storage.write_bytes(uri, file.getvalue())
