"""CSV tables with one object per row: rows as text, in and out, and numbers with their place in error messages."""

import csv
import io
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from featurelib.errors import DataError

Row = dict[str, str]
"""The cells of a row by column, as they are in the file."""


class Line(NamedTuple):
    """A row and its place for error messages, "<file> line <number>"."""

    place: str
    row: Row


def read_rows(content: bytes, name: str, required: Sequence[str]) -> tuple[list[str], Iterator[Line]]:
    """Return a table's columns and rows; blank lines are skipped and missing cells are empty.

    Args:
        content: of the file, UTF-8 with or without a byte order mark.
        name: of the file, for error messages.
        required: columns that the table must have.

    Raises:
        DataError: if the file is not UTF-8, is not CSV or lacks a required column; from the iterator, if a later row
            is not CSV.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: byte {error.start} is not UTF-8; save the table as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
    try:
        columns = list(reader.fieldnames or ())
    except csv.Error as error:
        raise DataError(f"{name} line 1: {error}; check the quotes") from None
    if missing := set(required) - set(columns):
        raise DataError(f"{name}: no column {', '.join(sorted(missing))}; expected {','.join(required)}")
    return columns, _lines(reader, name)


def _lines(reader: csv.DictReader, name: str) -> Iterator[Line]:
    try:
        for row in reader:
            yield Line(f"{name} line {reader.line_num}", row)
    except csv.Error as error:
        raise DataError(f"{name} line {reader.line_num}: {error}; check the quotes") from None


def refuse_surplus(line: Line) -> None:
    """Raise DataError if a row has more cells than the header; csv.DictReader stores them under None."""
    if None in line.row:
        raise DataError(f"{line.place}: more values than the header's {len(line.row) - 1} columns")


def refuse_duplicate(line: Line, seen: Container[str]) -> None:
    """Raise DataError if a row's object_id is among those that were seen."""
    object_id = line.row["object_id"]
    if object_id in seen:
        raise DataError(f"{line.place}: duplicate object_id {object_id!r}; keep one row")


def number(line: Line, column: str) -> float:
    """Return a cell as a finite number.

    Raises:
        DataError: with file, line, column and value.
    """
    text = line.row[column]
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{line.place}: {column} is {text!r}; expected a number") from None
    if not math.isfinite(value):
        raise DataError(f"{line.place}: {column} is {text}; expected a finite number")
    return value


def write_rows(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return the file of a header and rows; cells that a row lacks are empty."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
