"""CSV tables in and out: rows as text, by column, and numbers with their place in error messages.

All tables of datasets and runs are read and written here. Columns are separated by commas, semicolons, tabs or
vertical bars, as spreadsheets of different countries write them; a first line `sep=;` names the separator. Cells are
stripped, rows without any value are skipped, and so are a title and comments above the header. Blanks, case and
underscores of the known column names do not matter.
"""

import csv
import io
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from featurelib.datasets.coordinates import LARGEST, with_points
from featurelib.datasets.decoding import decode
from featurelib.errors import DataError

Row = dict[str, str]
"""The cells of a row by column, as they are in the file."""

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line by which Excel learns the separator."""

LINES_ABOVE = 20
"""Number of lines among which the header is looked for."""

HEADER_LENGTH = 65536
"""Number of characters in which the header is looked for to find the separator."""


class Line(NamedTuple):
    """A row and its place for error messages, "<file> line <number>"."""

    place: str
    row: Row


class Table(NamedTuple):
    """A table: columns, rows, the separator, and notes on what was unusual in the file."""

    columns: list[str]
    lines: Iterator[Line]
    separator: str = ","
    notes: tuple[str, ...] = ()


def read_table(content: bytes, name: str = "") -> Table:
    """Return a table with any columns.

    Args:
        content: of the file.
        name: of the file, for error messages.

    Raises:
        DataError: if the file is not text, or its first row is not CSV or names a column twice; from the iterator, if
            a later row is not CSV.
    """
    try:
        text, notes = decode(content)
    except DataError as error:
        raise DataError(_of(name, str(error))) from None
    above, separator = _beginning(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        columns = next((row for cells in reader if reader.line_num > len(above) and (row := _stripped(cells))), [])
    except csv.Error as error:
        raise DataError(f"{name} line {reader.line_num}: {error}; check the quotes".strip()) from None
    if twice := next((column for i, column in enumerate(columns) if column and column in columns[:i]), None):
        raise DataError(_of(name, f"column {twice!r} twice; rename or remove one"))
    titles = [line for line in map(str.strip, above) if line.strip(" ,;|") and not SEPARATOR_LINE.fullmatch(line)]
    notes += (f"not read: the text above the table: {titles[0][:40]!r}",) if titles else ()
    return Table(columns, _lines(reader, columns, name), separator, notes)


def read_rows(content: bytes, name: str, required: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Return a table with known columns; the required ones after the first hold numbers.

    Arguments and errors as of `read_table` and `with_known_columns`.
    """
    return with_known_columns(read_table(content, name), name, required, optional, numbers=required[1:])


def with_known_columns(
    table: Table, name: str, required: Sequence[str], optional: Sequence[str] = (), *, numbers: Sequence[str] = ()
) -> Table:
    """Return a table whose known columns have their names, whatever their blanks and case.

    Args:
        table: of `read_table`.
        name: of the file, for error messages.
        required: columns that the table must have.
        optional: columns whose names are known.
        numbers: columns of numbers, whose decimal mark becomes a point.

    Raises:
        DataError: if the table lacks a required column, or has a known one twice.
    """
    known = {column_key(column): column for column in (*required, *optional)}
    columns = [known.get(column_key(column), column) for column in table.columns]
    if missing := set(required) - set(columns):
        raise DataError(f"{name}: no column {', '.join(sorted(missing))}; expected {','.join(required)}")
    if twice := next((column for column in known.values() if columns.count(column) > 1), None):
        raise DataError(f"{name}: column {twice!r} twice; rename or remove one")
    names = dict(zip(table.columns, columns, strict=True))
    renamed = _renamed(table.lines, names) if columns != table.columns else table.lines
    if table.separator == ",":
        return Table(columns, renamed, ",", table.notes)
    note = f"read with {SEPARATORS.get(table.separator, repr(table.separator))} between its columns"
    return Table(columns, _pointed(renamed, numbers), table.separator, (note, *table.notes))


def surplus(line: Line) -> str:
    """Return the fault of a row with more cells than the header, which are stored under None; "" without one."""
    if None not in line.row:
        return ""
    fix = "quote cells that have a separator, and separate the columns by semicolons if numbers have decimal commas"
    return f"more values than the header's {len(line.row) - 1} columns; {fix}"


def refuse_surplus(line: Line) -> None:
    """Raise DataError if a row has more cells than the header."""
    if fault := surplus(line):
        raise DataError(f"{line.place}: {fault}")


def refuse_duplicate(line: Line, seen: Container[str]) -> None:
    """Raise DataError if a row's object_id is among those that were seen."""
    object_id = line.row["object_id"]
    if object_id in seen:
        raise DataError(f"{line.place}: duplicate object_id {object_id!r}; keep one row")


def number(line: Line, column: str) -> float:
    """Return a cell as a number of at most LARGEST in size.

    Raises:
        DataError: with file, line, column and value.
    """
    text = line.row[column]
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{line.place}: {column} is {text!r}; expected a number") from None
    if not abs(value) <= LARGEST:
        raise DataError(f"{line.place}: {column} is {text}; expected a finite number, none beyond {LARGEST:g}")
    return value


def write_rows(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return the file of a header and rows; cells that a row lacks are empty.

    Lines within a cell end in a line feed: the csv module does not quote carriage returns.

    Raises:
        DataError: if a cell is not text, as the name of a file in another encoding.
    """
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {column: "\n".join(cell.splitlines()) if "\r" in cell else cell for column, cell in row.items()}
        )
    try:
        return out.getvalue().encode()
    except UnicodeEncodeError as error:
        line = out.getvalue()[: error.start].rpartition("\n")[2] + out.getvalue()[error.start :].partition("\n")[0]
        raise DataError(f"{line[:80]!a}: a name is not UTF-8; rename the file") from None


def _of(name: str, message: str) -> str:
    return f"{name}: {message}" if name else message


def column_key(column: str) -> str:
    """Return a column's name without case, blanks and other separators of words."""
    return re.sub(r"[\s_.-]+", "_", column.strip()).casefold()


def _beginning(text: str) -> tuple[list[str], str]:
    """Return the lines above the header, and the separator: the one that they name, or that divides it most often.

    Above it may be empty lines, lines without separators, such as a title, and comments with # of fewer cells than the
    next line.
    """
    lines = [*io.StringIO(text[:HEADER_LENGTH], newline="")]
    start = next((k for k, line in enumerate(lines) if line.strip(" \t,;|\r\n")), 0)
    match = SEPARATOR_LINE.fullmatch(lines[start]) if lines else None
    named, start = (match[1], start + 1) if match else (None, start)
    counts = [max(_count(line, separator) for separator in named or SEPARATORS) for line in lines[:LINES_ABOVE]]
    for k, count in enumerate(counts[start:], start):
        is_comment = lines[k].startswith("#") and max(counts[k + 1 : k + 2], default=0) > count
        if count > 1 and not is_comment:
            start = k
            break
    header = lines[start] if start < len(lines) else ""
    return lines[:start], named or max(SEPARATORS, key=lambda separator: _count(header, separator))


def _count(line: str, separator: str) -> int:
    """Return the number of cells of a line, without empty ones at its end."""
    try:
        return len(_stripped(next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])))
    except csv.Error:
        return 0


def _stripped(cells: Sequence[str]) -> list[str]:
    """Return cells without blanks at their ends, and without empty cells at the end of the row."""
    row = [*map(str.strip, cells)]
    while row and not row[-1]:
        row.pop()
    return row


def _lines(reader: Iterator[list[str]], columns: list[str], name: str) -> Iterator[Line]:
    width = len(columns)
    try:
        for cells in reader:
            if not (row := _stripped(cells)):
                continue
            line = dict(zip(columns, row, strict=False))
            if len(row) != width:
                line = dict.fromkeys(columns, "") | line
            if len(row) > width:
                line[None] = row[width:]  # type: ignore[index, assignment]  # as csv.DictReader does
            yield Line(f"{name} line {reader.line_num}".strip(), line)  # type: ignore[attr-defined]  # of csv.reader
    except csv.Error as error:
        place = f"{name} line {reader.line_num}".strip()  # type: ignore[attr-defined]  # of csv.reader
        raise DataError(f"{place}: {error}; check the quotes") from None


def _renamed(lines: Iterator[Line], names: Mapping[str, str]) -> Iterator[Line]:
    for place, row in lines:
        yield Line(place, {names.get(column, column): cell for column, cell in row.items()})


def _pointed(lines: Iterator[Line], columns: Sequence[str]) -> Iterator[Line]:
    """Yield rows whose numbers have decimal points."""
    for place, row in lines:
        cells = with_points([row[column] for column in columns])
        yield Line(place, {**row, **dict(zip(columns, map(str, cells), strict=True))})
