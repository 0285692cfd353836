"""NTSYSpc matrices (`.nts`, `.dta`): one or several specimens, points without names.

A line `1 n p 1 9999 DIM=3` announces n specimens with p coordinates each; the fourth number tells whether the fifth
marks missing values. An L after n or p announces n or p labels, which come before the numbers. A matrix with three
columns is one specimen whose rows are its points. Lines that begin with a quotation mark are comments. Sources:
"readland.nts" and "readmulti.nts" in the manual of the R package geomorph, https://cran.r-project.org/package=geomorph;
F. J. Rohlf, NTSYSpc 2.2, 2012. Labels have no blanks; the full names of points and objects are in comments.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import (
    PointFile,
    listed_points,
    names_in,
    names_text,
    point_line,
)
from featurelib.errors import DataError

HEADER = re.compile(r"1\s+(\d{1,9})(L?)\s+(\d{1,9})(L?)\s+([01])(?:\s+(\S+))?\s+DIM\s*=\s*3", re.IGNORECASE)
OBJECTS_KEY = "objects in "

LEAST_MISSING = 9999
"""The number of missing values has more nines if a coordinate has as many digits: geomorph looks for it in them."""

EXPECTED = "expected '1 <specimens>L <coordinates> 0 DIM=3', as in 1 12L 30 0 DIM=3"


@dataclass(frozen=True)
class Header:
    """The first line: rows and columns of the matrix, whether they have labels, and the text of missing values."""

    rows: int
    columns: int
    has_row_labels: bool
    has_column_labels: bool
    missing: str | None


def read_nts(content: bytes) -> PointFile:
    """Return the points by object; the object is None if the file has one specimen without a label.

    Raises:
        DataError: if the file has another form, other than three dimensions, or fewer numbers than it announces.
    """
    text, notes = decode(content)
    written = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in written if line[0] not in "\"'"]
    comments = [line[1:] for line in written if line[0] == '"']
    points, objects = _commented(comments, ""), _commented(comments, OBJECTS_KEY)
    header = _header(lines[0].strip() if lines else "")
    names, cells = _divided(lines[1:], header)
    if header.columns == 3 and (points is None or len(points) > 1):
        return PointFile(((None, listed_points(_rows(cells), points)),), notes)
    if header.rows > 1 and not names:
        raise DataError(f"{header.rows} specimens without names; {EXPECTED}, then their names")
    if objects and len(objects) == len(names):
        names = objects
    named: list[str | None] = [*names] or [None]
    step = header.columns
    specimens = [listed_points(_rows(cells[k * step : (k + 1) * step]), points) for k in range(header.rows)]
    return PointFile(tuple(zip(named, specimens, strict=True)), notes)


def _commented(comments: Sequence[str], key: str) -> list[str] | None:
    """Return the names in the first comment that begins with a key and names."""
    found = (names_in(line.removeprefix(key)) for line in comments if line.startswith(key))
    return next((names for names in found if names), None)


def _header(line: str) -> Header:
    match = HEADER.fullmatch(line)
    if match is None or int(match[1]) == 0 or int(match[3]) == 0 or int(match[3]) % 3:
        raise DataError(f"{line[:60]!r}; {EXPECTED}")
    missing = match[6] if match[5] == "1" else None
    return Header(int(match[1]), int(match[3]), bool(match[2]), bool(match[4]), missing)


def _divided(lines: Sequence[str], header: Header) -> tuple[list[str], list[str]]:
    """Return the labels of the rows, and the numbers; those that the header names as missing are NA."""
    tokens = [token for line in lines for token in line.split()]
    num_cells = header.rows * header.columns
    num_labels = header.rows * header.has_row_labels + header.columns * header.has_column_labels
    if len(tokens) < num_cells + num_labels:
        raise DataError(
            f"{len(tokens)} values of {num_cells + num_labels}; the file is cut off or its first line is wrong, "
            "export it again"
        )
    labels, cells = tokens[: len(tokens) - num_cells], tokens[len(tokens) - num_cells :]
    names = labels[: header.rows] if header.has_row_labels else []
    if len(labels) > num_labels:
        names = _names_by_line(lines, header, len(labels))
    return names, ["NA" if _is_equal(cell, header.missing) else cell for cell in cells]


def _names_by_line(lines: Sequence[str], header: Header, num_words: int) -> list[str]:
    """Return names with blanks, one a line."""
    names = [line.strip() for line in lines[: header.rows]] if header.has_row_labels else []
    num_found = len(" ".join(names).split()) + header.columns * header.has_column_labels
    if num_found != num_words:
        raise DataError(
            f"{num_words} values more than its first line announces; correct it, or write one name per line"
        )
    return names


def _is_equal(cell: str, missing: str | None) -> bool:
    try:
        return missing is not None and (cell == missing or float(cell) == float(missing))
    except ValueError:
        return False


def _rows(cells: Sequence[str]) -> list[Sequence[str]]:
    return [cells[k : k + 3] for k in range(0, len(cells), 3)]


def nts(names: Sequence[str], objects: Mapping[str, Sequence[Xyz | None]]) -> bytes:
    """Return a file of points by object, with all their digits and the labels of its rows and columns."""
    return "\n".join([*_lines(names, objects), ""]).encode()


def _lines(names: Sequence[str], objects: Mapping[str, Sequence[Xyz | None]]) -> Iterator[str]:
    placed = [xyz for points in objects.values() for xyz in points if xyz is not None]
    largest = max((abs(value) for xyz in placed for value in xyz), default=0.0)
    code = -max(LEAST_MISSING, 10 ** (len(str(int(largest))) + 1) - 1)
    is_complete = len(placed) == len(names) * len(objects)
    yield f'"{names_text(names)}'
    yield f'"{OBJECTS_KEY}{names_text([*objects])}'
    yield f"1 {len(objects)}L {3 * len(names)}L {'0' if is_complete else f'1 {code}'} DIM=3"
    yield from map(_label, objects)
    yield " ".join(_label(f"{name}_{axis}") for name in names for axis in "xyz")
    for points in objects.values():
        yield from (point_line(xyz, str(code)) for xyz in points)


def _label(name: str) -> str:
    return re.sub(r"[\s\"']", "_", name)
