"""The body of a legacy VTK file: lines of words, and arrays of numbers as text or big-endian binary between them."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.readers.text import numbers, quoted, words_in_lines

_DTYPES = {
    "char": "i1", "unsigned_char": "u1", "short": "i2", "unsigned_short": "u2", "int": "i4", "unsigned_int": "u4",
    "long": "i8", "unsigned_long": "u8", "float": "f4", "double": "f8", "vtkidtype": "i4",
    "vtktypefloat32": "f4", "vtktypefloat64": "f8",
    "vtktypeint64": "i8", "vtktypeuint64": "u8", "vtktypeint32": "i4", "vtktypeuint32": "u4",
}  # fmt: skip
"""vtkIdType is written with four bytes."""

_MAX_LINE = 1024
"""Longest line of words; real ones have the name of an array and three words."""


class Body:
    """Reads lines and arrays one after the other; the time of all reads is proportional to the size of the file."""

    def __init__(self, data: bytes, start: int, *, is_binary: bool) -> None:
        """Start at a byte."""
        self._data = data
        self._place = start
        self.is_binary = is_binary

    def words(self) -> list[str]:
        """Return the words of the next line that is not blank, the first in upper case; empty at the end."""
        while self._place < len(self._data):
            if words := self._line().split():
                return [words[0].upper(), *words[1:]]
        return []

    def peek(self) -> list[str]:
        """Return what `words` will return."""
        place = self._place
        words = self.words()
        self._place = place
        return words

    def skip_paragraph(self) -> None:
        """Move behind the next blank line."""
        while self._place < len(self._data) and self._line().strip():
            pass

    def whole(self, word: str) -> int:
        """Return a count.

        Raises:
            DataError: if the word is no count.
        """
        if not word.isdecimal() or len(word) > 15:
            raise DataError(f"count {quoted(word.encode())}; expected an integer, at least 0 (the file is damaged)")
        return int(word)

    def values(self, count: int, name: str) -> NDArray[Any]:
        """Return the next numbers (count,) of a type; text gives doubles, but bytes for `unsigned_char`.

        Raises:
            DataError: if the type is unknown, or there are fewer numbers.
        """
        if name.lower() not in _DTYPES:
            raise DataError(f"numbers of the type {quoted(name.encode())}; expected one such as float")
        dtype = np.dtype(">" + _DTYPES[name.lower()])
        if not self.is_binary:
            return self._text_values(count, is_byte=dtype == np.uint8)
        end = self._place + count * dtype.itemsize
        if end > len(self._data):
            rest = len(self._data) - self._place
            raise DataError(
                f"{count:,} numbers take {end - self._place:,} bytes; {rest:,} are left (the file is cut off)"
            )
        values = np.frombuffer(self._data, dtype, count, self._place)
        self._place = end
        return values.astype(dtype.newbyteorder("="))

    def field(self) -> NDArray[Any]:
        """Return the next array (n, k) of a field, whose line has its name, k, n and its type."""
        words = self.words()
        if words == ["METADATA"]:
            self.skip_paragraph()
            words = self.words()
        if len(words) != 4:
            raise DataError(f"line {quoted(' '.join(words).encode())}; expected an array of a field (it is damaged)")
        width, count = self.whole(words[1]), self.whole(words[2])
        if words[3] == "string":
            self._skip_strings(width * count)
            return np.empty((0, 1))
        return self.values(width * count, words[3]).reshape(count, width)

    def _skip_strings(self, count: int) -> None:
        """Move behind strings: one per line, or each after its length, whose first two bits give the length's bytes."""
        for _ in range(count):
            if self._place >= len(self._data):
                raise DataError(f"{count:,} strings do not fit into the file (the file is cut off)")
            if not self.is_binary:
                self._line()
                continue
            width = 8 >> (self._data[self._place] >> 6)
            length = int.from_bytes(self._data[self._place : self._place + width], "big") & ((1 << (8 * width - 2)) - 1)
            self._place += width + length

    def _line(self) -> str:
        end = self._data.find(b"\n", self._place, self._place + _MAX_LINE)
        end = end if end >= 0 else min(len(self._data), self._place + _MAX_LINE)
        line = self._data[self._place : end].decode("latin-1")
        self._place = end + 1
        return line

    def _text_values(self, count: int, *, is_byte: bool) -> NDArray[Any]:
        if not count:
            return np.empty(0)
        starts, words_before = self._lines
        first = int(np.searchsorted(starts, self._place))
        last = int(np.searchsorted(words_before, words_before[first] + count)) if first < len(starts) else first
        end = int(starts[last]) if last < len(starts) else len(self._data)
        values = numbers(self._data[self._place : end])
        if len(values) != count:
            raise DataError(f"{len(values):,} numbers where {count:,} are announced (the file is cut off or damaged)")
        self._place = end
        return values.astype(np.uint8) if is_byte else values

    @cached_property
    def _lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each line (n,) starts, and the number of words before it."""
        raw = np.frombuffer(self._data, np.uint8)
        starts = np.concatenate([[0], np.flatnonzero(raw[:-1] == ord("\n")) + 1])
        counts = words_in_lines(self._data)
        return starts, np.concatenate([[0], np.cumsum(counts)[:-1]])
