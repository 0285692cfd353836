"""A multipart/form-data body with one file and short texts, read as it arrives by Starlette and python-multipart.

Source: RFC 7578 (https://www.rfc-editor.org/rfc/rfc7578).
"""

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serve.api.errors import ApiError

MAX_PARTS_PER_KIND = 8
MAX_TEXT_BYTES = 1024
"""Limits of a form: files, and texts, at most this many each; a valid one has a file and at most four short texts."""


@dataclass(frozen=True)
class Form:
    """One file's content and name (as the client sent it, never a path), and the texts by field.

    Texts that are not UTF-8 are read as Latin-1. The disposition type of a part is ignored.
    """

    content: bytes
    filename: str
    texts: dict[str, str]


class _Parser(MultiPartParser):
    """Keeps files in memory, where the middleware bounds them, and notices the last boundary."""

    spool_max_size = 0
    is_complete = False

    def on_end(self) -> None:
        self.is_complete = True


async def read_form(
    headers: Headers, stream: AsyncGenerator[bytes, None], file_field: str, text_fields: Collection[str]
) -> Form:
    """Return the form in a body; it is parsed on the event loop, a chunk at a time.

    Args:
        headers: of the request.
        stream: its body.
        file_field: name of the required file.
        text_fields: names of the optional texts.

    Raises:
        ApiError: 400 if it is not a form or beyond the limits, 422 if a field is missing, unknown or repeated.
    """
    parser = _Parser(
        headers, stream, max_files=MAX_PARTS_PER_KIND, max_fields=MAX_PARTS_PER_KIND, max_part_size=MAX_TEXT_BYTES
    )
    try:
        fields = (await parser.parse()).multi_items()
    except (MultiPartException, ValueError) as error:  # a ValueError comes from an odd charset
        limits = f"a text has at most {MAX_TEXT_BYTES} bytes, and a file needs a filename"
        raise ApiError(400, f"form: {str(error).rstrip('.')}; {limits}") from None
    if not parser.is_complete:
        raise ApiError(400, "form: cut off before its last boundary")
    files = {name: value for name, value in fields if isinstance(value, UploadFile)}
    texts = {name: value for name, value in fields if isinstance(value, str)}
    if file_field in texts:
        raise ApiError(422, f"{file_field}: has no filename; send it as a file")
    for name in [*sorted(files.keys() - {file_field}), *sorted(texts.keys() - {*text_fields})]:
        known = ", ".join([file_field, *text_fields])
        raise ApiError(422, f"field {name[:64]!r}: unexpected; expected a file and texts among {known}")
    if len(fields) > len(files) + len(texts):
        raise ApiError(422, "form: a field is repeated; send each once")
    if file_field not in files:
        raise ApiError(422, f"{file_field}: missing; send a file with this field name")
    return Form(await files[file_field].read(), files[file_field].filename or "", texts)
