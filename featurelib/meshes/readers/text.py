"""Read numbers from text with little memory, and name the first word that is not a number."""

import re

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError

CHUNK_BYTES = 1 << 20
"""Text is parsed in pieces of this size, because words become Python objects of ten times their size."""

MAX_COLUMNS = 12
"""Columns that are read: no file type has more than position, normal, colour and texture position."""


def numbers(text: bytes) -> NDArray[np.float64]:
    """Return the numbers (n,) of a text, separated by white space.

    Raises:
        DataError: naming the first word that is not a number.
    """
    pieces = []
    start = 0
    while start < len(text):
        blank = _BLANK.search(text, min(start + CHUNK_BYTES, len(text)))
        end = blank.start() if blank else len(text)
        pieces.append(_piece(text[start:end]))
        start = end
    return np.concatenate(pieces) if pieces else np.empty(0)


def table(text: bytes, num_columns: int, what: str) -> NDArray[np.float64]:
    """Return the first columns (n, k), k >= `num_columns`, that all lines have.

    Raises:
        DataError: naming the first line that has fewer than `num_columns`, or a word that is not a number.
    """
    widths = words_in_lines(text)
    width = int(widths.min(initial=MAX_COLUMNS))
    if width < num_columns:
        line = int(widths.argmin())
        found = quoted(text.split(b"\n")[line])
        raise DataError(f"{what} {line + 1} of {len(widths):,} is {found}; expected {num_columns} numbers")
    starts = np.cumsum(widths) - widths
    columns: NDArray[np.float64] = numbers(text)[starts[:, None] + np.arange(width)]
    return columns


def words_in_lines(text: bytes) -> NDArray[np.int64]:
    """Return the number of words (n,) in each line, ten times as fast as splitting lines; an empty text has no line."""
    if not text:
        return np.empty(0, dtype=np.int64)
    raw = np.frombuffer(text, np.uint8)
    is_blank = (raw == 32) | ((raw >= 9) & (raw <= 13))  # the white space of bytes.split()
    is_start = ~is_blank
    is_start[1:] &= is_blank[:-1]
    line_starts = np.concatenate([[0], np.flatnonzero(raw[:-1] == ord("\n")) + 1])
    return np.asarray(np.add.reduceat(is_start, line_starts, dtype=np.int64))


def quoted(text: bytes) -> str:
    """Return the beginning of some bytes, quoted for a message of one line."""
    words = " ".join(text.lstrip()[:60].decode("ascii", "replace").split())
    return repr(words[:40] + "..." if len(words) > 40 else words)


def without_comments(text: bytes) -> bytes:
    r"""Return text with \n as line ends and without comments, which begin with #."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return re.sub(rb"#[^\n]*", b"", text) if b"#" in text else text


def _piece(text: bytes) -> NDArray[np.float64]:
    words = text.split()
    try:
        return np.fromiter(map(float, words), dtype=np.float64, count=len(words))
    except ValueError:
        raise DataError(
            f"{quoted(next(filter(_is_no_number, words)))}; expected a number (the file is damaged)"
        ) from None


def _is_no_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return True
    return False


_BLANK = re.compile(rb"\s")
