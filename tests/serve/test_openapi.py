"""/openapi.json is complete: each response to any request is a documented one."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.api.errors import CODES

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()

texts = st.text(max_size=20)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
names = st.sampled_from(["object_id", "view", "projection", "method", "unit", "x"])
objects = st.dictionaries(names, st.sampled_from(["body-00001", "orthographic", "mlp", 0, 4]) | values, max_size=4)
json_bodies = (objects | values).map(lambda value: json.dumps(value).encode())
BOUNDARY = "multipart/form-data; boundary=b"


@st.composite
def forms(draw):
    """A body with parts of a form, mostly well formed."""
    field = st.sampled_from(["image", "mesh", "unit", "method", "projection", "x"])
    beginnings = st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"ply\n", b"glTF", b"v 0 0 0\n", b""])
    parts = draw(st.lists(st.tuples(field, beginnings, st.binary(max_size=60)), max_size=3))
    lines = [
        b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n' % (name.encode(), begin + rest)
        for name, begin, rest in parts
    ]
    return b"".join(lines) + draw(st.sampled_from([b"--b--\r\n", b"--b--", b"--b", b""]))


bodies = st.one_of(
    st.tuples(st.just("application/json"), json_bodies),
    st.tuples(st.just(BOUNDARY), forms()),
    st.tuples(st.sampled_from(["application/json", BOUNDARY, "text/plain"]), st.binary(max_size=60)),
)
quietly = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def documented(client):
    """The statuses in /openapi.json, by method and path."""
    paths = client.get("/openapi.json").json()["paths"]
    return {(verb.upper(), path): set(o["responses"]) for path, verbs in paths.items() for verb, o in verbs.items()}


def check(response, documented, method, path):
    """A response is documented, is not a failure, and has the form of its status."""
    assert str(response.status_code) in documented[method, path], response.text
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        error = response.json()["error"]
        assert error["code"] == CODES[response.status_code]
        assert error["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/infer", "/infer/3d"])
def test_any_request_has_a_documented_response(client, documented, path):
    """For JSON, forms and other bodies there is no 5xx and no undocumented status."""

    @quietly
    @given(bodies)
    def send(case):
        kind, body = case
        check(client.post(path, content=body, headers={"content-type": kind}), documented, "POST", path)

    send()


def test_any_label_has_a_documented_response(client, documented):
    """Any body in place of a label, binary ones included."""

    @quietly
    @given(bodies)
    def send(case):
        kind, body = case
        response = client.put("/labels/body-00001", content=body, headers={"content-type": kind})
        check(response, documented, "PUT", "/labels/{object_id}")

    send()


def test_any_path_has_a_documented_response(client, documented):
    """Any text in place of an id, a view or a query."""
    segments = st.text(min_size=1, max_size=12).map(lambda text: "".join(f"%{byte:02x}" for byte in text.encode()))

    @quietly
    @given(st.just("body-00001") | segments, st.integers().map(str) | segments, texts)
    def send(object_id, view, word):
        for path in ("/objects/{object_id}", "/objects/{object_id}/views/{view}.png", "/objects/{object_id}/mesh.glb"):
            if "%2f" in object_id + view:  # another route, or none
                continue
            where = path.replace("{object_id}", object_id).replace("{view}", view)
            check(client.get(where, params={"projection": word}), documented, "GET", path)
        check(client.get("/objects", params={"offset": view, "limit": word}), documented, "GET", "/objects")

    send()


def test_the_page_has_the_routes_of_the_server(documented):
    """docs/http.md lists each route, and no other."""
    rows = re.findall(r"^\| `(GET|POST|PUT) (/\S*)` \|", PAGE, re.MULTILINE)

    assert set(rows) == set(documented)


def test_the_page_has_the_errors_of_the_server(documented):
    """docs/http.md lists each status with its code; each documented error is one of them."""
    rows = {int(status): code for status, code in re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)}

    assert rows == CODES
    assert {int(s) for statuses in documented.values() for s in statuses} - {200} == set(CODES)
