"""The arrays of VTK's XML formats: text, base64 or raw bytes, plain or in blocks compressed by zlib.

Source: https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html. Only announced numbers of bytes are
decoded, so that neither base64 nor zlib can take more memory than the counts that have been checked.
"""

import base64
import binascii
import re
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.readers.text import numbers, quoted

_DTYPES = {f"{sign}Int{8 * size}": f"{kind}{size}" for sign, kind in (("", "i"), ("U", "u")) for size in (1, 2, 4, 8)}
_DTYPES |= {"Float32": "f4", "Float64": "f8", "String": "u1"}

_ZLIB = "vtkZLibDataCompressor"

_MIN_BLOCK = 256
"""Smallest block, on average, that is decompressed; VTK writes 32,768 bytes. Smaller ones would take long."""

_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_SEGMENT = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


class Array(NamedTuple):
    """The attributes of a DataArray, and its text if it has any."""

    attributes: dict[str, str]
    text: list[str]

    @property
    def num_components(self) -> int:
        """How many numbers a point has; 1 by default."""
        given = self.attributes.get("NumberOfComponents", "1")
        return int(given) if given.isdecimal() and len(given) < 6 else 0


@dataclass(frozen=True, eq=False)
class Encoding:
    """How a file stores the numbers of all its arrays.

    byte_order: < or >. header: the type of the numbers before a block. is_zlib: whether blocks are compressed.
    appended: the bytes after the XML, to which arrays refer. is_raw: whether these are no base64.
    """

    byte_order: str
    header: np.dtype[Any]
    is_zlib: bool
    appended: memoryview
    is_raw: bool

    @classmethod
    def of(cls, root: dict[str, str], appended: memoryview, *, is_raw: bool) -> "Encoding":
        """Return the encoding of the attributes of VTKFile.

        Raises:
            DataError: if its compression or header is not read.
        """
        compressor, header = root.get("compressor", ""), root.get("header_type", "UInt32")
        if compressor not in ("", _ZLIB):
            raise DataError(f"is compressed by {quoted(compressor.encode())}, which is not read; write it with {_ZLIB}")
        if header not in ("UInt32", "UInt64"):
            raise DataError(f"header_type {quoted(header.encode())}; expected UInt32 or UInt64 (the file is damaged)")
        byte_order = ">" if root.get("byte_order") == "BigEndian" else "<"
        return cls(byte_order, np.dtype(byte_order + _DTYPES[header]), compressor == _ZLIB, appended, is_raw)

    def values(self, array: Array, count: int) -> NDArray[Any]:
        """Return the numbers (count,) of an array; text gives doubles.

        Raises:
            DataError: if the array has another number of them, or is damaged.
        """
        kind = array.attributes.get("type", "")
        if kind not in _DTYPES:
            raise DataError(f"an array of the type {quoted(kind.encode())}; expected one such as Float32")
        if not count:
            return np.empty(0, _DTYPES[kind])
        dtype = np.dtype(self.byte_order + _DTYPES[kind])
        if array.attributes.get("format", "ascii") == "ascii":
            values = numbers("".join(array.text).encode())
            if len(values) != count:
                raise _mismatch(len(values), count, "numbers")
            return values if dtype.kind == "f" else values.astype(dtype.newbyteorder("="))
        stored = self._stored(array, count * dtype.itemsize)
        return np.frombuffer(self._plain(stored, count * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))

    def beginning(self, array: Array, most: int) -> bytes | memoryview:
        """Return up to `most` bytes of an array whose length is not known.

        Raises:
            DataError: if it is longer, or damaged.
        """
        stored = self._stored(array, most)
        first, size, last = self._header(stored, 0, 3) if self.is_zlib else (*self._header(stored, 0, 1), 0, 0)
        num_bytes = (first - 1) * size + (last or size) if self.is_zlib and first else first
        if not 0 < num_bytes <= most:
            raise _mismatch(num_bytes, most, "bytes")
        return self._plain(stored, num_bytes)

    def _stored(self, array: Array, num_bytes: int) -> bytes | memoryview:
        """Return the bytes of an array with its header, and perhaps more bytes behind."""
        longest = 4 * num_bytes + 4096  # base64 takes 4/3, and zlib 1.01 at worst, with the headers of its blocks
        if array.attributes.get("format") == "binary":
            return _from_base64("".join(array.text).encode("ascii", "replace"), longest)
        offset = array.attributes.get("offset", "").strip()
        if array.attributes.get("format") != "appended" or not offset.isdecimal() or len(offset) > 15:
            raise DataError(
                f"an array at {quoted(offset.encode())}; expected the offset of appended data (it is damaged)"
            )
        stored = self.appended[int(offset) :]
        return stored if self.is_raw else _from_base64(_NO_BASE64.split(stored[:longest], 1)[0], longest)

    def _plain(self, stored: bytes | memoryview, num_bytes: int) -> bytes | memoryview:
        """Return the bytes of an array, without its header and decompressed."""
        if self.is_zlib:
            return self._decompressed(stored, num_bytes)
        (announced,) = self._header(stored, 0, 1)
        start = self.header.itemsize
        if announced != num_bytes:
            raise _mismatch(announced, num_bytes, "bytes")
        if len(stored) < start + num_bytes:
            raise _mismatch(len(stored) - start, num_bytes, "bytes")
        return stored[start : start + num_bytes]

    def _decompressed(self, stored: bytes | memoryview, num_bytes: int) -> bytes:
        """Return the bytes of blocks: a header of their number, their size, the last one's, and compressed sizes."""
        num_blocks, size, last = self._header(stored, 0, 3)
        total = (num_blocks - 1) * size + (last or size) if num_blocks else 0
        if total != num_bytes or num_blocks > 1 + num_bytes // _MIN_BLOCK:
            raise _mismatch(total, num_bytes, "bytes")
        sizes = self._header(stored, 3, num_blocks)
        place, blocks = (3 + num_blocks) * self.header.itemsize, []
        for index, compressed in enumerate(sizes):
            expected = (last or size) if index == num_blocks - 1 else size
            try:
                block = zlib.decompressobj().decompress(stored[place : place + compressed], expected)
            except zlib.error as error:
                raise DataError(f"compressed data cannot be read ({error}; the file is damaged)") from None
            if len(block) != expected:
                raise _mismatch(len(block), expected, "bytes in a block")
            blocks.append(block)
            place += compressed
        return b"".join(blocks)

    def _header(self, stored: bytes | memoryview, first: int, count: int) -> list[int]:
        start = first * self.header.itemsize
        if len(stored) < start + count * self.header.itemsize:
            raise _mismatch(len(stored), start + count * self.header.itemsize, "bytes")
        return list(map(int, np.frombuffer(stored, self.header, count, start)))


def _from_base64(text: bytes, longest: int) -> bytes:
    """Return the bytes of base64 whose parts are padded one by one, as VTK writes a header and its blocks."""
    text = b"".join(text.split())[: longest // 4 * 4]
    parts = _SEGMENT.findall(text)
    try:
        if sum(map(len, parts)) == len(text):
            return b"".join(base64.b64decode(part, validate=True) for part in parts)
    except (binascii.Error, ValueError):
        pass
    raise DataError("an array is not base64 (the file is damaged)")


def _mismatch(found: int, expected: int, what: str) -> DataError:
    return DataError(f"an array has {found:,} {what}; expected {expected:,} (the file is cut off or damaged)")
