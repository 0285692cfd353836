"""A body of multipart/form-data to its one file and its texts; strict, and in memory: the door bounds the body.

Source: RFC 7578 (https://www.rfc-editor.org/rfc/rfc7578) and RFC 2046, section 5.1.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.message import Message
from email.parser import HeaderParser

from serve.api.errors import ApiError

MAX_PARTS = 8
MAX_HEADER_BYTES = 4096
MAX_TEXT_BYTES = 1024
"""Bounds of a form; ours have one file and at most three short texts."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")


@dataclass(frozen=True)
class Form:
    """One file's content and name (as the client gave it: never a path), and the texts by field."""

    content: bytes
    filename: str
    texts: dict[str, str]


def media_type(content_type: str) -> str:
    """Return the type of a Content-Type header, without its parameters."""
    return _header(content_type).get_content_type() if content_type else ""


def parse_form(content_type: str, body: bytes, file_field: str, text_fields: Collection[str]) -> Form:
    """Return the form in a body.

    Args:
        content_type: the header of the request.
        body: all of it.
        file_field: name of the one field that must be there and be a file.
        text_fields: names of the others, which may be there.

    Raises:
        ApiError: 400 if it is no such form, 422 if a field is missing, unknown or there twice.
    """
    files: dict[str, tuple[bytes, str]] = {}
    texts: dict[str, str] = {}
    for headers, content in _parts(content_type, body):
        name, filename = _names(headers)
        if name in files or name in texts:
            raise ApiError(422, f"{name[:64]}: is there twice")
        if name == file_field:
            files[name] = content, filename or ""
        elif name in text_fields and filename is None:
            texts[name] = _text(name, content)
        else:
            known = ", ".join([file_field, *text_fields])
            raise ApiError(422, f"field {name[:64]!r}: not known here; expected a file and texts among {known}")
    if file_field not in files:
        raise ApiError(422, f"{file_field}: is missing; send a file of this field name")
    return Form(*files[file_field], texts)


def _parts(content_type: str, body: bytes) -> list[tuple[Message, bytes]]:
    """Return the headers and the content of each part."""
    boundary = _header(content_type).get_param("boundary")
    if not isinstance(boundary, str) or not _BOUNDARY.fullmatch(boundary):
        raise ApiError(400, "the form's Content-Type names no boundary")
    delimiter = b"\r\n--" + boundary.encode()
    preamble, *parts = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    if not parts or len(parts) > MAX_PARTS + 1 or preamble.strip():
        raise ApiError(400, f"the form is damaged; expected 1 to {MAX_PARTS} parts between its boundaries")
    if parts.pop()[:2] != b"--":
        raise ApiError(400, "the form is cut off: its last boundary is missing")
    return [_part(part) for part in parts]


def _part(part: bytes) -> tuple[Message, bytes]:
    line_end, _, rest = part.partition(b"\r\n")
    head, found, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if line_end.strip(b" \t") or not found or len(head) > MAX_HEADER_BYTES:
        raise ApiError(400, "a part of the form is damaged: its headers do not end")
    try:
        return HeaderParser().parsestr(head.strip(b"\r\n").decode("utf-8", "replace")), content
    except HeaderParseError:
        raise ApiError(400, "a part of the form is damaged: its headers cannot be read") from None


def _names(headers: Message) -> tuple[str, str | None]:
    """Return a part's field name and, of a file, its file name."""
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise ApiError(400, "a part of the form has no `Content-Disposition: form-data; name=...`")
    return name, headers.get_filename()


def _text(name: str, content: bytes) -> str:
    try:
        if len(content) > MAX_TEXT_BYTES:
            raise ValueError
        return content.decode()
    except ValueError:
        raise ApiError(422, f"{name}: expected at most {MAX_TEXT_BYTES} bytes of UTF-8") from None


def _header(content_type: str) -> Message:
    message = Message()
    message["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    return message
