"""Each bad request gets its documented error, and the server goes on."""

import http.client
import io
import json
import struct
import time
import zipfile
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

from featurelib.meshes.writers.ply import ply

TRIANGLE = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def png(width=8, height=8):
    """A small PNG."""
    file = io.BytesIO()
    Image.new("L", (width, height), 255).save(file, "PNG")
    return file.getvalue()


def bomb(width, height):
    """A PNG whose header declares a size and whose data is a thousand bytes."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zipped():
    """A ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mesh.ply", "ply")
    return file.getvalue()


def glb(**sections):
    """A GLB of this JSON, without a binary part."""
    text = json.dumps({"asset": {"version": "2.0"}, **sections}).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


def outside_glb():
    """A GLB whose data is in another file."""
    return glb(
        scene=0,
        scenes=[{"nodes": [0]}],
        nodes=[{"mesh": 0}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}}]}],
        accessors=[{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        bufferViews=[{"buffer": 0, "byteLength": 36}],
        buffers=[{"byteLength": 36, "uri": "../../../etc/passwd"}],
    )


def points(*rows):
    """A binary PLY of one triangle."""
    return ply(np.array(rows, np.float32), np.array([[0, 1, 2]], np.int32))


def many_faces(count):
    """A binary PLY with this many equal faces."""
    return ply(np.eye(3, dtype=np.float32), np.zeros((count, 3), np.int32) + np.arange(3, dtype=np.int32))


def image(content, **more):
    """A form with an image."""
    return {"files": {"image": ("a.png", content, "image/png")}, **more}


def mesh(content, name="a.ply", **data):
    """A form with a mesh."""
    return {"files": {"mesh": (name, content)}, "data": data}


def raw(content, kind="application/json"):
    """A body of bytes and its Content-Type."""
    return {"content": content, "headers": {"content-type": kind}}


FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="mesh"; filename="a.ply"\r\n\r\n'
KNOWN = {"object_id": "body-00001"}

CORPUS = {
    "truncated PNG": ("/infer", image(png(64, 64)[:-30]), 422),
    "PNG without pixels": ("/infer", image(png()[:33]), 422),
    "PNG bomb": ("/infer", image(bomb(30_000, 30_000)), 413),
    "PNG of too many pixels": ("/infer", image(bomb(2000, 2000)), 413),
    "PNG shorter than its header declares": ("/infer", image(bomb(500, 500)), 422),
    "PNG of no width": ("/infer", image(bomb(0, 10)), 422),
    "JPEG that is only a signature": ("/infer", image(b"\xff\xd8\xff\xe0rest"), 422),
    "GIF called PNG": ("/infer", image(b"GIF89a" + bytes(64)), 415),
    "SVG called PNG": ("/infer", image(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415),
    "TIFF called PNG": ("/infer", image(b"II*\0" + bytes(64)), 415),
    "empty image": ("/infer", image(b""), 422),
    "image under another name": ("/infer", {"files": {"photo": png()}}, 422),
    "two images": ("/infer", {"files": [("image", png()), ("image", png())]}, 422),
    "unknown field": ("/infer", image(png(), data={"colour": "red"}), 422),
    "unknown projection in a form": ("/infer", image(png(), data={"projection": "fisheye"}), 422),
    "form without a boundary": ("/infer", raw(b"x", "multipart/form-data"), 400),
    "form without parts": ("/infer", raw(b"hello", FORM), 400),
    "form cut off": ("/infer", raw(b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc', FORM), 400),
    "form part without headers": ("/infer", raw(b"--b\r\nabc\r\n--b--", FORM), 400),
    "form of a thousand parts": ("/infer", raw(b"--b\r\n\r\n\r\n" * 1000 + b"--b--", FORM), 400),
    "form whose text is not UTF-8": (
        "/infer/3d",
        raw(PART + b'abc\r\n--b\r\nContent-Disposition: form-data; name="projection"\r\n\r\n\xff\xfe\r\n--b--', FORM),
        422,
    ),
    "zip as a mesh": ("/infer/3d", mesh(zipped()), 422),
    "image as a mesh": ("/infer/3d", mesh(png()), 422),
    "HTML as a mesh": ("/infer/3d", mesh(b"<!doctype html><html></html>"), 422),
    "pickle as a mesh": ("/infer/3d", mesh(b"\x80\x04\x95cos\nsystem\n."), 422),
    "GLB with outside buffers": ("/infer/3d", mesh(outside_glb(), "a.glb"), 422),
    "GLB without a scene": ("/infer/3d", mesh(glb(), "a.glb"), 422),
    "OBJ with mtllib in a parent folder": ("/infer/3d", mesh(b"mtllib ../../etc/passwd\n" + TRIANGLE, "a.obj"), 422),
    "OBJ with a corner that does not exist": ("/infer/3d", mesh(b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "a.obj"), 422),
    "NaN vertices": ("/infer/3d", mesh(points([0, 0, 0], [np.nan, 0, 0], [0, 1, 0])), 422),
    "infinite vertices": ("/infer/3d", mesh(points([0, 0, 0], [np.inf, 0, 0], [0, 1, 0])), 422),
    "a point": ("/infer/3d", mesh(points([1, 1, 1], [1, 1, 1], [1, 1, 1])), 422),
    "a line": ("/infer/3d", mesh(points([0, 0, 0], [1, 0, 0], [2, 0, 0])), 422),
    "mesh of ten kilometres": ("/infer/3d", mesh(points([0, 0, 0], [1e6, 0, 0], [0, 1e6, 0])), 422),
    "mesh cut off": ("/infer/3d", mesh(points([0, 0, 0], [1, 0, 0], [0, 1, 0])[:-5]), 422),
    "mesh that declares a billion faces": (
        "/infer/3d",
        mesh(
            b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
            b"element face 1000000000\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n"
        ),
        422,
    ),
    "mesh of too many faces": ("/infer/3d", mesh(many_faces(60_001)), 422),
    "empty mesh": ("/infer/3d", mesh(b""), 422),
    "unknown unit": ("/infer/3d", mesh(TRIANGLE, "a.obj", unit="parsec"), 422),
    "path of a file as name and content": ("/infer/3d", mesh(b"/etc/passwd", "../../../etc/passwd"), 422),
    "body of 50 MB": ("/infer/3d", mesh(bytes(50_000_000)), 413),
    "empty body": ("/infer", raw(b""), 400),
    "half of a JSON": ("/infer", raw(b'{"object_id": "body'), 400),
    "JSON that is not UTF-8": ("/infer", raw(b'{"object_id": "\xff"}'), 400),
    "huge JSON": ("/infer", raw(b'{"object_id": "' + b"a" * 1_000_000 + b'"}'), 413),
    "deep JSON": ("/infer", raw(b"[" * 30_000 + b"]" * 30_000), 400),
    "JSON list": ("/infer", raw(b"[]"), 422),
    "text": ("/infer", raw(b"hello", "text/plain"), 415),
    "no content type": ("/infer", {"content": b"{}"}, 415),
    "huge view": ("/infer", {"json": {**KNOWN, "view": 10**30}}, 404),
    "view -1": ("/infer", {"json": {**KNOWN, "view": -1}}, 422),
    "view that is a word": ("/infer", {"json": {**KNOWN, "view": "front"}}, 422),
    "long id": ("/infer", {"json": {"object_id": "a" * 300, "view": 0}}, 422),
    "id with a NUL": ("/infer", {"json": {"object_id": "body\0", "view": 0}}, 404),
    "id with a parent folder": ("/infer", {"json": {"object_id": "../renders", "view": 0}}, 404),
    "unknown projection": ("/infer/3d", {"json": {**KNOWN, "projection": "fisheye"}}, 422),
    "method that looks like a path": ("/infer/3d", {"json": {**KNOWN, "method": "../mlp"}}, 422),
    "GET of an id with a parent folder": ("GET /objects/..%2F..%2Fetc%2Fpasswd", {}, 404),
    "GET of a mesh with a parent folder": ("GET /objects/..%2f..%2fdataset.json/mesh.glb", {}, 404),
    "GET of the mesh of an unknown object": ("GET /objects/nobody/mesh.glb", {}, 404),
    "GET of a huge view": (f"GET /objects/body-00001/views/{10**30}.png", {}, 404),
    "GET of view -1": ("GET /objects/body-00001/views/-1.png", {}, 404),
    "GET of view x": ("GET /objects/body-00001/views/x.png", {}, 422),
    "wrong method": ("DELETE /objects/body-00001", {}, 405),
    "OPTIONS": ("OPTIONS /infer", {}, 405),
    "request id with a line end's code": ("GET /objects", {"headers": {"x-request-id": "a%0ab"}}, 400),
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_bad_request_has_its_documented_error(client, name):
    """The error has the documented form and reveals nothing of the server; the server stays healthy."""
    route, arguments, status = CORPUS[name]
    method, _, path = route.rpartition(" ")
    response = client.request(method or "POST", path, **arguments)

    assert status == response.status_code, response.text
    assert {"code", "message", "request_id"} == set(response.json()["error"])
    assert not any(word in response.text for word in ("Traceback", ".py", "/tmp", "site-packages", "root:"))
    assert client.get("/healthz").status_code == 200


def test_the_corpus_is_large():
    """It has at least forty kinds of bad requests."""
    assert len(CORPUS) >= 40


def test_the_server_works_after_all_of_them(client, bodies):
    """A good upload succeeds after the bad ones."""
    content = (bodies / "meshes" / "body-00001.ply").read_bytes()

    assert client.post("/infer/3d", files={"mesh": content}).status_code == 200


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic correct-horse", "correct-horse"])
@pytest.mark.parametrize("path", ["/objects", "/openapi.json", "/labels", "/nothing", "/objects/body-00001/mesh.glb"])
def test_routes_require_the_token(address, authorization, path):
    """All paths but those of probes and of the viewer's files require the token, even paths that do not exist."""
    headers = {} if authorization is None else {"authorization": authorization}
    response = httpx.get(address + path, headers=headers)

    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_probe_needs_no_token(address):
    """/healthz is open to clients without a token."""
    assert httpx.get(address + "/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/", "/viewer/page.js", "/viewer/vendor/three.module.js"])
def test_the_viewer_itself_needs_no_token(address, path):
    """A browser that opens a page cannot send one. A cached file is not sent again."""
    response = httpx.get(address + path)
    again = httpx.get(address + path, headers={"if-none-match": response.headers["etag"]})

    assert response.status_code == 200
    assert "unsafe-inline" not in response.headers["content-security-policy"]
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["package.json", "vendor.mjs", "..%2Fapp.py", "../app.py", "%2Fetc%2Fpasswd", ""])
def test_the_server_sends_only_the_viewers_files(client, name):
    """Neither a path nor another file of the folder is sent."""
    assert client.get(f"/viewer/{name}").status_code == 404


def test_a_body_of_undeclared_length_is_counted(client):
    """A stream is rejected once it exceeds the limit."""
    chunks = (PART + bytes(1_000_000) for _ in range(12))
    response = client.post("/infer/3d", content=chunks, headers={"content-type": FORM})

    assert response.status_code == 413


@pytest.mark.parametrize("declared", [True, False])
def test_a_connection_survives_a_rejected_body(address, client, declared):
    """The server drops the rest of the body, and responds to the next request on the same connection."""
    body = PART + bytes(30_000_000)
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    headers = {"authorization": client.headers["authorization"], "content-type": FORM}
    connection.connect()
    first = connection.sock
    connection.request("POST", "/infer/3d", body if declared else iter([body]), headers, encode_chunked=not declared)
    with connection.getresponse() as refused:
        refused.read()
    time.sleep(0.5)  # long enough for a connection to close
    connection.request("GET", "/objects", headers=headers)

    assert (refused.status, connection.getresponse().status) == (413, 200)
    assert first is connection.sock


def test_only_named_origins_may_send_requests(client):
    """A page of another server gets the CORS headers only if its origin is named; errors have them, too."""
    named, other = (
        client.get("/objects", headers={"origin": origin}).headers
        for origin in ("https://studio.example", "https://evil.example")
    )
    failed = httpx.get(client.base_url.join("/objects"), headers={"origin": "https://studio.example"})
    preflight = httpx.options(
        client.base_url.join("/infer"),
        headers={
            "origin": "https://studio.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type, x-request-id",
        },
    )

    for headers in (named, failed.headers):
        assert headers["access-control-allow-origin"] == "https://studio.example"
        assert headers["cross-origin-resource-policy"] == "cross-origin"
        assert headers["vary"] == "Origin"
        assert headers["access-control-expose-headers"] == "x-request-id, retry-after"
    assert failed.status_code == 401
    assert "access-control-allow-origin" not in other
    assert (other["cross-origin-resource-policy"], other["vary"]) == ("same-origin", "Origin")
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-methods"] == "GET, POST, PUT"
    assert "x-request-id" in preflight.headers


def test_each_response_has_an_id_and_security_headers(client):
    """The response has the client's request id, and forbids sniffing, framing and caching."""
    response = client.get("/objects/nobody", headers={"x-request-id": "scan-17"})

    assert "scan-17" == response.headers["x-request-id"] == response.json()["error"]["request_id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
