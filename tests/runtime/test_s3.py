"""Requests to a store that fails in many ways, over real HTTP to a scripted server."""

import hashlib
import http.server
import threading

import pytest

from featurelib.errors import ConflictError, DataError
from featurelib.runtime import s3, storage

REFUSAL = "<?xml version='1.0'?><Error><Code>{}</Code><Message>no</Message></Error>"


class Script(http.server.BaseHTTPRequestHandler):
    """A store in memory. `faults` has an entry for each of the next requests: a status and code to return, "cut" (half
    of the response), "lost" (success without a response), or None."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "aws-chunked":
            size, _, rest = content.partition(b"\r\n")
            content = rest[: int(size.split(b";")[0], 16)]
        fault = self.fault()
        if isinstance(fault, tuple):
            return self.answer(*fault)
        if self.headers.get("if-none-match") and self.path in self.server.objects:
            return self.answer(412, "PreconditionFailed")
        self.server.objects[self.path] = content
        if fault == "lost":
            self.close_connection = True
            return None
        return self.answer(200)

    def do_GET(self):
        fault = self.fault()
        content = self.server.objects.get(self.path)
        if isinstance(fault, tuple):
            return self.answer(*fault)
        if content is None:
            return self.answer(404, "NoSuchKey")
        return self.answer(200, content=content, is_cut=fault == "cut")

    def do_HEAD(self):
        content = self.server.objects.get(self.path)
        self.answer(404) if content is None else self.answer(200, content=content)

    def fault(self):
        self.server.asked.append(f"{self.command} {self.path}")
        return self.server.faults.pop(0) if self.server.faults else None

    def answer(self, status, code="", content=b"", *, is_cut=False):
        content = REFUSAL.format(code).encode() if code else content
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.send_header("etag", f'"{hashlib.md5(content).hexdigest()}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if is_cut else content)
        self.close_connection = is_cut

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def store(monkeypatch, tmp_path):
    """The server; only a profile has its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Script)
    server.objects, server.faults, server.asked = {}, [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = f"[default]\nregion = eu-central-1\nendpoint_url = http://localhost:{server.server_port}\n"
    (tmp_path / "config").write_text(profile)
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    s3.client.cache_clear()
    yield server
    s3.client.cache_clear()
    server.shutdown()
    server.server_close()


def test_boto3_and_pyarrow_have_the_same_settings(store):
    """Both use the profile's endpoint and region, and address the bucket by path."""
    storage.write_bytes("s3://bucket/folder/file", b"content")
    filesystem, path = storage.arrow_filesystem("s3://bucket/folder/file")

    assert storage.read_bytes("s3://bucket/folder/file") == b"content"
    assert filesystem.region == s3.client().meta.region_name == "eu-central-1"
    assert filesystem.get_file_info(path).size == len(b"content")
    assert {line.partition(" ")[2] for line in store.asked} == {"/bucket/folder/file"}


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "ExpiredToken", "the session token has expired"),
        (403, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "wrong secret key"),
        (403, "AccessDenied", "access denied"),
        (404, "NoSuchBucket", "bucket does not exist"),
        (404, "NoSuchKey", "no such file"),
    ],
)
def test_a_rejected_request_is_one_line_with_the_fix(store, status, code, words):
    """The error names the URI; such a request is not retried."""
    store.faults = [(status, code)]
    with pytest.raises(DataError, match=words) as refused:
        storage.read_bytes("s3://bucket/file")

    assert str(refused.value).startswith("s3://bucket/file: ")
    assert "\n" not in str(refused.value)
    assert len(store.asked) == 1


@pytest.mark.parametrize("fault", ["cut", (503, "SlowDown"), (500, "InternalError")])
def test_temporary_faults_are_retried(store, fault):
    """Also a response that breaks off, which botocore does not retry."""
    content = bytes(range(256)) * 1000
    storage.write_bytes("s3://bucket/file", content)
    store.faults, store.asked[:] = [fault, fault], []

    assert storage.read_bytes("s3://bucket/file") == content
    assert len(store.asked) == 3


def test_a_lost_response_to_a_commit_is_no_conflict(store):
    """The retry finds its own content; different content is a conflict."""
    store.faults = ["lost"]
    storage.swap_bytes("s3://bucket/manifest.json", b"mine", None)
    assert store.objects["/bucket/manifest.json"] == b"mine"

    with pytest.raises(ConflictError, match=r"^s3://bucket/manifest.json: was changed by another writer"):
        storage.swap_bytes("s3://bucket/manifest.json", b"late", None)
    assert store.objects["/bucket/manifest.json"] == b"mine"
