"""Text files in the encodings that spreadsheets write: UTF-8, UTF-16 with a byte order mark, and Windows-1252."""

import codecs
from typing import NamedTuple

from featurelib.errors import DataError


class Text(NamedTuple):
    """A decoded file, and a note if its encoding was a guess."""

    text: str
    notes: tuple[str, ...] = ()


def decode(content: bytes) -> Text:
    """Return a file's text.

    Excel writes "Unicode text" as UTF-16 with a byte order mark, and "CSV" in the code page of Windows. Bytes that are
    not UTF-8 are taken for Windows-1252, the code page of western Europe, if all of them are letters in it.

    Raises:
        DataError: if the bytes are not text.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _utf16_text(content)
    try:
        if b"\0" in content:
            raise DataError(f"byte {content.index(0)} is 0, so it is not text; save it as text in UTF-8")
        return Text(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _windows_text(content, error.start)


def _utf16_text(content: bytes) -> Text:
    try:
        return Text(content.decode("utf-16"))
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start} is not UTF-16; save it as UTF-8") from None


def _windows_text(content: bytes, start: int) -> Text:
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = "\ufffd"
    others = {character for character in text if character > "\x7f"}
    if not all(character.isalpha() for character in others):
        raise DataError(f"byte {start} is not UTF-8; save it as UTF-8")
    return Text(text, (f"read as Windows-1252, not UTF-8: {', '.join(sorted(others)[:5])}",))
