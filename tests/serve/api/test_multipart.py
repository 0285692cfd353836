"""Forms as browsers, curl and httpx send them, and damaged ones."""

import asyncio
import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from serve.api.errors import ApiError
from serve.api.multipart import Form, read_form

BOUNDARY = "multipart/form-data; boundary=b"


def parse(content_type: str, body: bytes, text_fields=(), chunk_bytes=7) -> Form:
    """The form in a body with the file `mesh`, which arrives in small chunks."""

    async def stream():
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    return asyncio.run(read_form(Headers({"content-type": content_type}), stream(), "mesh", text_fields))


def encoded(**arguments):
    """The Content-Type and the body that httpx makes of a form."""
    request = httpx.Request("POST", "http://server/", **arguments)
    return request.headers["content-type"], request.read()


@given(st.binary(max_size=400), st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20))
def test_a_form_keeps_any_content(content, text):
    """Any bytes and any text pass through a form unchanged."""
    form = parse(*encoded(files={"mesh": ("scan.ply", content)}, data={"unit": text}), ["unit"])

    assert (content, "scan.ply", {"unit": text}) == (form.content, form.filename, form.texts)


def test_a_form_of_curl():
    """Quoted boundaries, other headers of a part and an epilogue are read."""
    body = (
        b'--x-1\r\nContent-Disposition: form-data; name="mesh"; filename="a b.ply"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n--x-\r\n\r\n--x-1--\r\n"
    )
    form = parse('multipart/form-data; boundary="x-1"', body)

    assert (form.content, form.filename) == (b"\r\n--x-\r\n", "a b.ply")


def part(name: bytes, content: bytes = b"abc", filename: bytes = b"") -> bytes:
    """One part of a form."""
    file = b'; filename="%s"' % filename if filename else b""
    return b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, file, content)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"--b--", 422),
        (b"--b\r\n\r\nabc\r\n--b--", 400),
        (b"--b\r\nContent-Disposition: attachment\r\n\r\nabc\r\n--b--", 400),
        (part(b"mesh", filename=b"a.ply") + b"--b", 400),
        (part(b"mesh") + b"--b--", 422),
        (part(b"other") + b"--b--", 422),
        (part(b"mesh", filename=b"a.ply") + part(b"unit", filename=b"a") + b"--b--", 422),
        (2 * part(b"mesh", filename=b"a.ply") + b"--b--", 422),
        (part(b"mesh", filename=b"a.ply") + part(b"unit", bytes(1025)) + b"--b--", 400),
        (9 * part(b"unit") + b"--b--", 400),
        (b"--b\r\n" + b"a: " + b"b" * 5000 + b"\r\n\r\nabc\r\n--b--", 400),
    ],
)
def test_damaged_forms_are_rejected(body, status):
    """Each has its status and a message of one line."""
    with pytest.raises(ApiError) as error:
        parse(BOUNDARY, body, ["unit"])

    assert error.value.status == status
    assert "\n" not in str(error.value)


def test_a_file_without_a_filename_is_named():
    """The error names the field and the fix, also where the content is longer than a text may be."""
    for content in (b"abc", b"a" * 2000):
        with pytest.raises(ApiError, match="filename"):
            parse(BOUNDARY, part(b"mesh", content) + b"--b--")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60), st.binary(max_size=200))
def test_noise_is_a_form_or_an_api_error(content_type, body):
    """Any header and any body are a form or are rejected."""
    for kind, form in ((content_type, body), (f"{BOUNDARY}; {content_type}", b"--b" + body + b"\r\n--b--")):
        with contextlib.suppress(ApiError):
            parse(kind, form, ["unit"])
