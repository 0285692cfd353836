"""Read numbers from text with little memory, and name the first word that is not a number."""

import codecs
import math
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


def table(text: bytes, num_columns: int, what: str) -> tuple[NDArray[np.float64], int]:
    """Return the first columns (n, k), k >= `num_columns`, that all lines have, and the words of the longest line.

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
    return columns, int(widths.max(initial=0))


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
    """Return the beginning of some bytes for a message of one line: text in quotes, other bytes as hexadecimal."""
    beginning = text.lstrip()[:60]
    words = " ".join(beginning.decode("latin-1").split())
    if sum(not " " <= letter <= "~" for letter in words) > len(words) // 3:
        return f"the bytes {beginning[:12].hex(' ')}"
    words = re.sub(r"[^ -~]", lambda found: f"\\x{ord(found[0]):02x}", words)
    return "'" + (words[:40] + "..." if len(words) > 40 else words) + "'"


def undefined_word(data: bytes) -> str:
    """Return, quoted, the first word of a text that is Microsoft's or GNU's spelling of NaN or infinity, or ""."""
    found = _UNDEFINED.search(data)
    return quoted(found[0]) if found else ""


def in_utf8(data: bytes) -> bytes:
    """Return text in UTF-16, or with a byte order mark, in UTF-8 and without the mark; other bytes as they are.

    Raises:
        DataError: if only the beginning is text in UTF-16.
    """
    found = _UTF16.match(data)
    if not found:  # a binary STL may begin with the mark, and has a zero in its number of faces
        return data if b"\0" in data[:84] else data.removeprefix(codecs.BOM_UTF8)
    encoding = "utf-16-le" if found[1] else "utf-16-be"
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeError:
        raise DataError("begins as text in UTF-16, and is not; export it again (the file is damaged)") from None


def without_comments(text: bytes) -> bytes:
    r"""Return text with \n as line ends and without comments, which begin with # (but in 1.#QNAN)."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"#" not in text:
        return text
    # The look-behind takes ten times as long, and few files have such a NaN.
    return re.sub(rb"(?<!1\.)#[^\n]*" if b"1.#" in text else rb"#[^\n]*", b"", text)


def _piece(text: bytes) -> NDArray[np.float64]:
    words = text.split()
    try:
        return np.fromiter(map(float, words), dtype=np.float64, count=len(words))
    except ValueError:
        return np.fromiter(map(_number, words), dtype=np.float64, count=len(words))


def _number(word: bytes) -> float:
    """Return the number of a word, also of the spellings of NaN and infinity that Python does not read."""
    try:
        return float(word)
    except ValueError:
        pass
    if found := _UNDEFINED.fullmatch(word):
        return math.inf if (found[1] or b"").upper().startswith(b"INF") else math.nan
    if _FORTRAN.fullmatch(word):
        return float(word.upper().replace(b"D", b"E"))
    if _DECIMAL_COMMA.fullmatch(word):
        raise DataError(f"{quoted(word)} has a decimal comma; export it with decimal points ({_with_point(word)})")
    raise DataError(f"{quoted(word)}; expected a number (the file is damaged)")


def _with_point(word: bytes) -> str:
    return word.decode("ascii").replace(",", ".")


_BLANK = re.compile(rb"\s")

_UNDEFINED = re.compile(rb"[-+]?(?:1\.#([A-Z]+)[\w+-]*|nan\(\w*\))", re.IGNORECASE)
"""NaN and infinity as C libraries write them: 1.#QNAN, -1.#IND00, 1.#INF, -nan(ind), nan(0x8000)."""

_UTF16 = re.compile(rb"((?:\xff\xfe)?(?:[\t\n\r -~]\0){4})|(?:\xfe\xff)?(?:\0[\t\n\r -~]){4}")
"""Four letters of two bytes, behind a mark or without one."""

_FORTRAN = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)D[-+]?\d+", re.IGNORECASE)
"""A number in double precision as Fortran writes it: 1.5D+02."""

_DECIMAL_COMMA = re.compile(rb"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
