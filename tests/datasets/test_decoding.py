"""The encodings of spreadsheets."""

import pytest

from featurelib.datasets.decoding import decode
from featurelib.errors import DataError

TEXT = "Müller;1,5\nGarçon;2\n"


@pytest.mark.parametrize(
    "content",
    [TEXT.encode(), TEXT.encode("utf-8-sig"), TEXT.encode("utf-16"), b"\xfe\xff" + TEXT.encode("utf-16-be")],
)
def test_unicode_is_read_with_and_without_a_byte_order_mark(content):
    assert decode(content) == (TEXT, ())


def test_windows_text_is_read_with_a_note():
    """Bytes that are not UTF-8 are letters of western Europe."""
    assert decode(TEXT.encode("cp1252")) == (TEXT, ("read as Windows-1252, not UTF-8: ç, ü",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,\xb0\n", "byte 2 is not UTF-8; save it as UTF-8"),
        (b"\x81\x8d", "byte 0 is not UTF-8"),
        (b"a\0b", "byte 1 is 0, so it is not text"),
        (TEXT.encode("utf-16-le"), "byte 1 is 0, so it is not text"),
        (b"\xff\xfea", "byte 2 is not UTF-16; save it as UTF-8"),
    ],
)
def test_other_bytes_are_refused(content, message):
    with pytest.raises(DataError, match=message):
        decode(content)
