"""NTSYSpc matrices (`.nts`, `.dta`): one or several specimens, points without names.

A line `1 n p 1 9999 DIM=3` announces n specimens with p coordinates each; the fourth number tells whether the fifth
marks missing values. An L after n or p announces n or p labels, which come before the numbers. A matrix with three
columns is one specimen whose rows are its points. Lines that begin with a quotation mark are comments. Sources:
"readland.nts" and "readmulti.nts" in the manual of the R package geomorph, https://cran.r-project.org/package=geomorph.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import PointFile, numbered_points
from featurelib.errors import DataError

HEADER = re.compile(r"1\s+(\d{1,9})(L?)\s+(\d{1,9})(L?)\s+([01])(?:\s+(\S+))?\s+DIM\s*=\s*3", re.IGNORECASE)
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
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "\"'"]
    header = _header(lines[0].strip() if lines else "")
    names, cells = _divided(lines[1:], header)
    if header.columns == 3:
        return PointFile(((None, numbered_points(_rows(cells))),), notes)
    if header.rows > 1 and not names:
        raise DataError(f"{header.rows} specimens without names; {EXPECTED}, then their names")
    named: list[str | None] = [*names] or [None]
    step = header.columns
    specimens = [numbered_points(_rows(cells[k * step : (k + 1) * step])) for k in range(header.rows)]
    return PointFile(tuple(zip(named, specimens, strict=True)), notes)


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
