"""Annotation of a dataset: reading and saving single rows of `landmarks.csv`, with a history and no lost updates.

A row is replaced only if it is still the row that was read, and the text of other rows is kept. The replaced row is
appended to `landmarks.history.csv` first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.coordinates import is_missing
from featurelib.datasets.csv_table import Row, write_rows
from featurelib.datasets.landmark_table import COLUMNS, COORDINATES, coordinate_cells, read_text
from featurelib.errors import ConflictError
from featurelib.runtime import storage

ABSENT = "none"
"""The version of a missing row."""

TRIES = 20
"""Number of attempts of a save when other rows are saved at the same time."""


@dataclass(frozen=True, eq=False)
class Label:
    """One object's row.

    pair: (2, 3) left and right, source frame and unit; None if the row is missing, incomplete or marks a missing value.
    version: changes with the row's coordinates.
    """

    pair: NDArray[np.float64] | None
    version: str


def read_labels(dataset_uri: str) -> dict[str, Label]:
    """Return the labels of a dataset by object; empty without a `landmarks.csv`.

    Raises:
        DataError: if the file is not a table of landmarks.
    """
    return {row["object_id"]: _label(row) for row in _rows(dataset_uri)}


def read_label(dataset_uri: str, object_id: str) -> Label:
    """Return the label of one object."""
    return read_labels(dataset_uri).get(object_id, Label(None, ABSENT))


def save_label(dataset_uri: str, object_id: str, pair: ArrayLike, version: str) -> Label:
    """Replace or add an object's row and return the new label.

    Args:
        dataset_uri: local folder or s3:// URI.
        object_id: of a mesh of the dataset.
        pair: (2, 3) left and right, source frame and unit.
        version: of the row to replace.

    Raises:
        ConflictError: if the row was changed in the meantime.
        DataError: if the table cannot be read or written.
    """
    _check(read_label(dataset_uri, object_id), version, object_id)
    new = coordinate_cells(pair, digits=9)
    _rewrite(_history_uri(dataset_uri), lambda content: _with_history(content, _row_of(dataset_uri, object_id)))
    _rewrite(_labels_uri(dataset_uri), lambda content: _with_row(content, dataset_uri, object_id, new, version))
    return read_label(dataset_uri, object_id)


def _labels_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.csv")


def _history_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.history.csv")


def _rows(dataset_uri: str) -> list[Row]:
    uri = _labels_uri(dataset_uri)
    return read_text(storage.read_bytes(uri) if storage.exists(uri) else b"", uri)[1]


def _label(row: Row) -> Label:
    cells = [row[column] for column in COORDINATES]
    try:
        pair = np.array([float(cell) for cell in cells]).reshape(2, 3)
    except ValueError:
        pair = np.full((2, 3), np.nan)
    version = sha256(",".join(cells).encode()).hexdigest()[:16]
    is_complete = np.isfinite(pair).all() and not any(is_missing(xyz) for xyz in pair.tolist())
    return Label(pair if is_complete else None, version)


def _row_of(dataset_uri: str, object_id: str) -> Row:
    return next((row for row in _rows(dataset_uri) if row["object_id"] == object_id), {"object_id": object_id})


def _check(now: Label, version: str, object_id: str) -> None:
    if now.version != version:
        raise ConflictError(f"object {object_id!r}: its label was saved by somebody else; load it again")


def _with_row(content: bytes, dataset_uri: str, object_id: str, new: Row, version: str) -> bytes:
    """Return the table with an object's new coordinates; its other columns and all other rows are kept."""
    columns, rows = read_text(content, _labels_uri(dataset_uri))
    row = next((row for row in rows if row["object_id"] == object_id), None)
    _check(Label(None, ABSENT) if row is None else _label(row), version, object_id)
    if row is None:
        row = dict.fromkeys(columns, "") | {"object_id": object_id}
        rows.append(row)
    row.update(new)
    return write_rows(columns, rows)


def _with_history(content: bytes, row: Row) -> bytes:
    """Return the history with the row before it is replaced; its coordinates are empty if it is missing."""
    line = write_rows(["replaced_at", *COLUMNS], [_stamped(row)])
    return content + line.partition(b"\n")[2] if content else line


def _stamped(row: Row) -> Row:
    cells = {column: row.get(column, "") for column in COLUMNS}
    return {"replaced_at": datetime.now(UTC).isoformat(timespec="seconds"), **cells}


def _rewrite(uri: str, edit: Callable[[bytes], bytes]) -> None:
    """Replace a file's content (empty without a file) by a function of it; try again if others write it."""
    for _ in range(TRIES):
        tag = storage.tag(uri)
        content = edit(storage.read_bytes(uri) if tag else b"")
        try:
            storage.swap_bytes(uri, content, tag)
        except ConflictError:
            continue
        return
    raise ConflictError(f"{uri.rpartition('/')[2]}: others keep writing it; save again")
