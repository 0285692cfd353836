"""The history of a dataset's labels, `landmarks.history.csv`: what each save replaced, what it saved, and the repeats.

Rows are only added. They are in the source frame and unit, one per landmark, whatever the form of `landmarks.csv`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.csv_table import Line, Row, number, read_table, with_known_columns, write_rows
from featurelib.datasets.landmark_table import ABSENT, LONG, STATUS
from featurelib.datasets.landmark_text import Cells
from featurelib.runtime import storage

Source = Literal["proposal", "corrected", "marked"]
"""How a label was made: a model's proposal was accepted, a position that was shown was moved, or nothing was shown."""

Event = Literal["replaced", "saved", "repeat"]
"""A row of `landmarks.csv` before a save, one after it (without a position if it was removed), or a repeat."""

COLUMNS = ("saved_at", "event", *LONG, STATUS, "source")

REMOVED = ("", "", "", "")


class Mark(NamedTuple):
    """A row of the history: point (3,), NaN if it has none or was replaced; source None if it is not known."""

    object_id: str
    landmark: str
    event: str
    source: Source | None
    point: NDArray[np.float64]
    is_absent: bool


def history_uri(dataset_uri: str) -> str:
    """Return the URI of a dataset's history."""
    return storage.join(dataset_uri, "landmarks.history.csv")


def add_save(dataset_uri: str, object_id: str, before: Cells, after: Cells, sources: Mapping[str, Source]) -> None:
    """Add the rows of a save: of each landmark what was replaced, and what is saved with its source.

    Args:
        dataset_uri: local folder or s3:// URI.
        object_id: of the saved object.
        before: the cells to replace, of the changed landmarks that have a row.
        after: the new cells of the changed landmarks.
        sources: by landmark; unknown for others.
    """
    replaced = [_row("replaced", object_id, name, cells, "") for name, cells in before.items()]
    saved = [_row("saved", object_id, name, cells, sources.get(name, "")) for name, cells in after.items()]
    storage.edit_bytes(history_uri(dataset_uri), lambda content: _with_rows(content, [*replaced, *saved]))


def add_repeat(dataset_uri: str, object_id: str, cells: Cells) -> None:
    """Add second marks of an object's landmarks; those that the history has already are not added again."""
    rows = [_row("repeat", object_id, name, texts, "marked") for name, texts in cells.items()]

    def with_new(content: bytes) -> bytes:
        known = [{**line.row, "saved_at": ""} for line in _lines(content, object_id)]
        return _with_rows(content, [row for row in rows if row not in known])

    storage.edit_bytes(history_uri(dataset_uri), with_new)


def read_marks(dataset_uri: str, object_id: str | None = None) -> list[Mark]:
    """Return the rows of the history in order, of one object or of all.

    Raises:
        DataError: with file, line, column and value.
    """
    uri = history_uri(dataset_uri)
    content = storage.read_bytes(uri) if storage.exists(uri) else b""
    return [_mark(line) for line in _lines(content, object_id) if object_id in (None, line.row["object_id"])]


def _row(event: Event, object_id: str, landmark: str, cells: tuple[str, ...], source: str) -> Row:
    return dict(zip(COLUMNS, ["", event, object_id, landmark, *cells, source], strict=True))


def _with_rows(content: bytes, rows: Iterable[Row]) -> bytes:
    """Return the history with rows at its end; the header is written where the last one has other columns."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    header, _, added = write_rows(COLUMNS, [{**row, "saved_at": now} for row in rows]).partition(b"\n")
    if not added:
        return content
    end = b"" if not content or content.endswith(b"\n") else b"\n"
    headers = re.findall(rb"(?m)^\w+_at\b.*$", content)
    return content + end + (b"" if headers[-1:] == [header] else header + b"\n") + added


def _lines(content: bytes, object_id: str | None) -> Iterator[Line]:
    """Yield the rows below each header of COLUMNS; only the lines with `object_id` are parsed, if it is given."""
    for part in re.split(rb"(?m)^(?=\w+_at\b)", content):
        if not part.startswith(b"saved_at"):
            continue  # of an older form: replaced rows without sources
        header, *lines = part.splitlines(keepends=True)
        if object_id is not None:
            written = object_id.replace('"', '""').encode()
            lines = [line if written in line else b"\n" for line in lines]  # keeps the lines' numbers
        name = "landmarks.history.csv"
        yield from with_known_columns(read_table(header + b"".join(lines), name), name, COLUMNS, numbers="xyz").lines


def _mark(line: Line) -> Mark:
    row = line.row
    is_absent = row[STATUS].lower() == ABSENT
    has_point = any(row[axis] for axis in "xyz") and row["event"] != "replaced"
    point = [number(line, axis) for axis in "xyz"] if has_point else [np.nan] * 3
    source = next((source for source in get_args(Source) if source == row["source"]), None)
    return Mark(row["object_id"], row["landmark"], row["event"], source, np.array(point), is_absent)
