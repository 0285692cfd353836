"""Read the rows of a PLY file's elements as columns of numbers."""

import math
import re
import struct
from array import array
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.readers.polygons import is_padding

_PRINTABLE = re.compile(rb"[ -~\t\r\n]*\0?")

_STRUCT_CODES = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f8": "d",
}  # fmt: skip


class Property(NamedTuple):
    """A column of an element: one value per row, or a list of values if the list's length has a type."""

    name: str
    dtype: np.dtype
    count_dtype: np.dtype | None = None


class Element(NamedTuple):
    """An element of the header, such as vertex or face: its number of rows and their properties."""

    name: str
    num_rows: int
    properties: list[Property]

    @property
    def triangle_bytes(self) -> int:
        """The size of a row whose lists have three values."""
        return sum(3 * dtype.itemsize + kind.itemsize if kind else dtype.itemsize for _, dtype, kind in self.properties)


class Column(NamedTuple):
    """The values (n,) of a property in all rows; for lists the concatenated values and the length (n,) of each."""

    values: NDArray
    counts: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Body:
    """The unread part of a file.

    data, start: the bytes from `start` on.
    unit, unit_bytes: the unit of messages: bytes, or the numbers of a text, which are doubles here.
    """

    data: bytes
    start: int
    unit: str
    unit_bytes: int

    @property
    def num_left(self) -> int:
        """The number of unread bytes."""
        return len(self.data) - self.start

    def notes_on_rest(self, last: Element) -> tuple[str, ...]:
        """Return a note on unread bytes that cannot be a row of the last element: a few, or printable text.

        Raises:
            DataError: if there are other unread bytes, or unread numbers of a text.
        """
        rest = self.data[self.start :]
        is_binary = self.unit_bytes == 1
        if not rest or (is_binary and is_padding(rest)):
            return ()
        left = f"{self.num_left // self.unit_bytes:,} {self.unit}"
        if is_binary and (len(rest) < last.triangle_bytes or _PRINTABLE.fullmatch(rest)):
            return (f"left out {left} after the last element",)
        raise DataError(f"{left} more than its header announces (the file is damaged)")

    def refuse_short(self, element: Element, needed: int) -> None:
        """Raise DataError if there are fewer unread bytes than an element needs."""
        if needed > self.num_left:
            raise DataError(
                f"{self.num_left // self.unit_bytes:,} {self.unit} for {element.num_rows:,} elements {element.name!r}; "
                f"expected at least {needed // self.unit_bytes:,} (the file is cut off or damaged)"
            )


def read_element(body: Body, element: Element) -> tuple[dict[str, Column], Body]:
    """Return the columns of the element at the body's start, and the body after it.

    Raises:
        DataError: if the body is too short.
    """
    if element.num_rows < 0:
        raise DataError(
            f"{element.num_rows:,} elements {element.name!r}; expected a positive number (the file is damaged)"
        )
    body.refuse_short(
        element, element.num_rows * sum((kind or dtype).itemsize for _, dtype, kind in element.properties)
    )
    if element.num_rows == 0 or not element.properties:
        return {}, body
    _, first_counts, _ = _walk(body, element, 1)
    row = _row_type(element, first_counts[0])
    num_bytes = element.num_rows * row.itemsize
    if num_bytes <= body.num_left:
        rows = np.frombuffer(body.data, row, element.num_rows, body.start)
        if all((rows[name] == first_counts[0, int(name[1:])]).all() for name in row.names or () if name[0] == "n"):
            return _uniform_columns(rows, element, first_counts[0]), replace(body, start=body.start + num_bytes)
    starts, counts, end = _walk(body, element, element.num_rows)
    columns = {
        entry.name: Column(_gather(body.data, entry.dtype, starts[:, i], counts[:, i]), _if_list(entry, counts[:, i]))
        for i, entry in enumerate(element.properties)
    }
    return columns, replace(body, start=end)


def _row_type(element: Element, counts: NDArray[np.int64]) -> np.dtype:
    """Return the type of a row whose lists have these lengths, with fields v0, v1, ..., and n1 if v1 is a list."""
    fields: list[tuple] = []
    for i, (_, dtype, count_dtype) in enumerate(element.properties):
        if count_dtype:
            fields.append((f"n{i}", count_dtype))
        fields.append((f"v{i}", dtype, (int(counts[i]),)) if count_dtype else (f"v{i}", dtype))
    return np.dtype(fields)


def _uniform_columns(rows: NDArray[np.void], element: Element, counts: NDArray[np.int64]) -> dict[str, Column]:
    """Return the columns of rows that all have the same type."""
    return {
        entry.name: Column(rows[f"v{i}"].reshape(-1), _if_list(entry, np.full(len(rows), counts[i])))
        for i, entry in enumerate(element.properties)
    }


def _if_list(entry: Property, counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return counts if entry.count_dtype else None


def _walk(body: Body, element: Element, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the position and the length (num_rows, k) of each value or list, and the position after the last row.

    Lists of different lengths have to be read row by row, which takes 0.7 s for a million faces.
    """
    starts, counts, position = array("q"), array("q"), body.start
    layout = [(name, dtype.itemsize, kind and _struct(kind)) for name, dtype, kind in element.properties]
    for _ in range(num_rows):
        for name, item_bytes, count_struct in layout:
            count = 1
            if count_struct:
                if position + count_struct.size > len(body.data):
                    body.refuse_short(element, position + count_struct.size - body.start)
                announced = count_struct.unpack_from(body.data, position)[0]
                count = int(announced) if 0 <= announced < math.inf else -1
                if count != announced or count < 0:
                    raise DataError(
                        f"list {name!r} has {announced:g} values; expected an integer (the file is damaged)"
                    )
                position += count_struct.size
            starts.append(position)
            counts.append(count)
            position += count * item_bytes
            if position > len(body.data):
                body.refuse_short(element, position - body.start)
    shape = (num_rows, len(element.properties))
    return np.array(starts).reshape(shape), np.array(counts).reshape(shape), position


def _struct(dtype: np.dtype) -> struct.Struct:
    """Return a reader of one value, which takes a tenth of NumPy's time."""
    return struct.Struct(dtype.str[0].replace("|", "<") + _STRUCT_CODES[dtype.str[1:]])


def _gather(data: bytes, dtype: np.dtype, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray:
    """Return the values (sum of counts,) of runs that begin at these bytes."""
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first_bytes = np.repeat(starts, counts) + offsets * dtype.itemsize
    raw = np.frombuffer(data, np.uint8)
    values: NDArray = raw[first_bytes[:, None] + np.arange(dtype.itemsize)].view(dtype)
    return values.reshape(-1)
