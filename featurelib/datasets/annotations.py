"""The labels of a dataset while people make them: one row of `landmarks.csv` read or saved at a time.

Nothing that was there is lost: a row is replaced only if it is still the one that was read, the other rows' values
stay as they are written, and what a save replaces is noted in `landmarks.history.csv` first.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.dataset import COORDINATES
from featurelib.errors import ConflictError, DataError
from featurelib.runtime import storage

ABSENT = "none"
"""The version of a row that is not there."""

TRIES = 20
"""How often a save starts again because another row was saved meanwhile."""

Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Label:
    """One object's row.

    pair: (2, 3) left and right, source frame and unit; None where the row is not there or not whole.
    version: changes with the row's coordinates.
    """

    pair: NDArray[np.float64] | None
    version: str


def read_labels(dataset_uri: str) -> dict[str, Label]:
    """Return the labels of a dataset by object; empty without a `landmarks.csv`.

    Raises:
        DataError: if the file is no such table.
    """
    _, rows = _parse(*_read(_labels_uri(dataset_uri)))
    return {row["object_id"]: _label(row) for row in rows}


def read_label(dataset_uri: str, object_id: str) -> Label:
    """Return the label of one object."""
    return read_labels(dataset_uri).get(object_id, Label(None, ABSENT))


def save_label(dataset_uri: str, object_id: str, pair: ArrayLike, version: str) -> Label:
    """Replace or add an object's row and return what it is now.

    Args:
        dataset_uri: local folder or s3:// URI.
        object_id: of a mesh of the dataset.
        pair: (2, 3) left and right, source frame and unit.
        version: of the row that this one replaces.

    Raises:
        ConflictError: if the row is another one by now.
        DataError: if the table cannot be read or written.
    """
    _check(read_label(dataset_uri, object_id), version, object_id)
    values = [f"{number:.9g}" for number in np.asarray(pair, dtype=np.float64).reshape(6)]
    new = dict(zip(COORDINATES, values, strict=True))
    _rewrite(_history_uri(dataset_uri), lambda content: _noted(content, _row_of(dataset_uri, object_id)))
    _rewrite(_labels_uri(dataset_uri), lambda content: _with_row(content, dataset_uri, object_id, new, version))
    return read_label(dataset_uri, object_id)


def _labels_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.csv")


def _history_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.history.csv")


def _read(uri: str) -> tuple[bytes, str]:
    return (storage.read_bytes(uri) if storage.exists(uri) else b""), uri


def _parse(content: bytes, name: str) -> tuple[list[str], list[Row]]:
    """Return the columns and the rows as text; the columns of a new table where there is none yet."""
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), restval="")
        rows = list(reader)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: byte {error.start} is not UTF-8; save the table as UTF-8") from None
    columns = list(reader.fieldnames or ["object_id", *COORDINATES])
    missing = {"object_id", *COORDINATES} - set(columns)
    if missing:
        raise DataError(f"{name}: no column {', '.join(sorted(missing))}; expected object_id,{','.join(COORDINATES)}")
    if any(None in row for row in rows):
        raise DataError(f"{name}: a row has more values than the header's {len(columns)} columns")
    return columns, rows


def _text(columns: list[str], rows: list[Row]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _label(row: Row) -> Label:
    cells = [row[column] for column in COORDINATES]
    try:
        pair = np.array([float(cell) for cell in cells]).reshape(2, 3)
    except ValueError:
        pair = np.full((2, 3), np.nan)
    version = sha256(",".join(cells).encode()).hexdigest()[:16]
    return Label(pair if np.isfinite(pair).all() else None, version)


def _row_of(dataset_uri: str, object_id: str) -> Row:
    _, rows = _parse(*_read(_labels_uri(dataset_uri)))
    return next((row for row in rows if row["object_id"] == object_id), {"object_id": object_id})


def _check(now: Label, version: str, object_id: str) -> None:
    if now.version != version:
        raise ConflictError(f"object {object_id!r}: its label was saved by somebody else meanwhile")


def _with_row(content: bytes, dataset_uri: str, object_id: str, new: Row, version: str) -> bytes:
    """Return the table with an object's new coordinates; its other columns, and all other rows, stay."""
    columns, rows = _parse(content, _labels_uri(dataset_uri))
    row = next((row for row in rows if row["object_id"] == object_id), None)
    _check(Label(None, ABSENT) if row is None else _label(row), version, object_id)
    if row is None:
        row = dict.fromkeys(columns, "") | {"object_id": object_id}
        rows.append(row)
    row.update(new)
    return _text(columns, rows)


def _noted(content: bytes, row: Row) -> bytes:
    """Return the history with a row as it is before it is replaced; its coordinates are empty if it is not there."""
    line = _text(["replaced_at", "object_id", *COORDINATES], [_stamped(row)])
    return content + line.partition(b"\n")[2] if content else line


def _stamped(row: Row) -> Row:
    cells = {column: row.get(column, "") for column in ("object_id", *COORDINATES)}
    return {"replaced_at": datetime.now(UTC).isoformat(timespec="seconds"), **cells}


def _rewrite(uri: str, edit: Callable[[bytes], bytes]) -> None:
    """Replace a file's content (empty if there is none) by a function of it, whatever others write meanwhile."""
    for _ in range(TRIES):
        tag = storage.tag(uri)
        content = edit(storage.read_bytes(uri) if tag else b"")
        try:
            storage.swap_bytes(uri, content, tag)
        except ConflictError:
            continue
        return
    raise ConflictError(f"{uri.rpartition('/')[2]}: others write it all the time; save again")
