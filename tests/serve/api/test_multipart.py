"""Forms as browsers, curl and httpx send them, and as they should not."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.api.errors import ApiError
from serve.api.multipart import media_type, parse_form

BOUNDARY = "multipart/form-data; boundary=b"


def sent(**arguments):
    """The Content-Type and the body that httpx makes of a form."""
    request = httpx.Request("POST", "http://server/", **arguments)
    return request.headers["content-type"], request.read()


@given(st.binary(max_size=400), st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20))
def test_what_is_sent_comes_in(content, text):
    """Any bytes and any text go through a form unchanged."""
    form = parse_form(*sent(files={"mesh": ("scan.ply", content)}, data={"unit": text}), "mesh", ["unit"])

    assert (content, "scan.ply", {"unit": text}) == (form.content, form.filename, form.texts)


def test_a_form_as_curl_sends_it():
    """Quoted boundaries, other headers of a part and an epilogue are read."""
    body = (
        b'--x-1\r\nContent-Disposition: form-data; name="mesh"; filename="a b.ply"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n--x-\r\n\r\n--x-1--\r\n"
    )
    form = parse_form('multipart/form-data; boundary="x-1"', body, "mesh", [])

    assert (form.content, form.filename) == (b"\r\n--x-\r\n", "a b.ply")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"--b--", 422),
        (b"--b\r\n\r\nabc\r\n--b--", 400),
        (b'--b\r\nContent-Disposition: attachment; name="mesh"\r\n\r\nabc\r\n--b--', 400),
        (b'--b\r\nContent-Disposition: form-data; name="mesh"\r\n\r\nabc\r\n--b', 400),
        (b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--b--', 422),
        (b"--b\r\n" + b"a: " + b"b" * 5000 + b"\r\n\r\nabc\r\n--b--", 400),
    ],
)
def test_damaged_forms_are_refused(body, status):
    """Each with its status, before anything is made of them."""
    with pytest.raises(ApiError) as refused:
        parse_form(BOUNDARY, body, "mesh", [])

    assert refused.value.status == status


@given(st.text(max_size=60), st.binary(max_size=200))
def test_nothing_but_a_refusal_comes_of_noise(content_type, body):
    """Any header and any body are a form or are refused."""
    media_type(content_type)
    for kind, form in ((content_type, body), (BOUNDARY, b"--b" + body + b"\r\n--b--")):
        with contextlib.suppress(ApiError):
            parse_form(kind, form, "mesh", ["unit"])
