"""Unpack a gzip file without exceeding the limit of a file, however well it is compressed.

Source: https://www.rfc-editor.org/rfc/rfc1952; a file may have several members, one after the other.
"""

import zlib

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.text import quoted

MAGIC = b"\x1f\x8b"

_GZIP = 16 + zlib.MAX_WBITS


def gunzip(data: bytes, limits: Limits) -> bytes:
    """Return the unpacked bytes.

    Raises:
        DataError: if the file is no gzip file, is cut off or damaged, or unpacks to more bytes than the limit.
    """
    if not data.startswith(MAGIC):
        raise DataError(f"begins with {quoted(data)}; expected a gzip file (rename it without .gz)")
    members, num_bytes = [], 0
    while data.startswith(MAGIC):
        unpacker = zlib.decompressobj(_GZIP)
        try:
            members.append(unpacker.decompress(data, limits.max_file_bytes - num_bytes + 1))
        except zlib.error as error:
            raise DataError(f"cannot be unpacked ({error}; the file is damaged)") from None
        num_bytes += len(members[-1])
        if num_bytes > limits.max_file_bytes:
            raise DataError(
                f"unpacks to more than {limits.max_file_bytes:,} bytes; expected at most that (simplify the mesh)"
            )
        if not unpacker.eof:
            raise DataError(f"{num_bytes:,} bytes are unpacked, and the rest is missing (the file is cut off)")
        data = unpacker.unused_data
    return members[0] if len(members) == 1 else b"".join(members)


def beginning(data: bytes, num_bytes: int) -> bytes:
    """Return the first bytes of a file, unpacked if it is a gzip file; fewer if it is damaged."""
    if not data.startswith(MAGIC):
        return data[:num_bytes]
    try:
        return zlib.decompressobj(_GZIP).decompress(data, num_bytes)
    except zlib.error:
        return b""
