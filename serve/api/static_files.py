"""The viewer's files: read once, sent as they are, and by name only, so that no request leads to another file."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request, Response

from serve.api.errors import ApiError, documented

FOLDER = Path(__file__).parents[1] / "viewer"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is sent, by ending; whatever else lies in the folder is not."""


@dataclass(frozen=True)
class PageFile:
    """A file's content, its type, and the tag by which a browser knows that it has it."""

    content: bytes
    media_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """Return the viewer's files by name within its folder; those of three.js lie in `vendor/`, if set-up made it."""
    paths = [FOLDER, *(path for path in FOLDER.iterdir() if path.name != "node_modules")]
    files = [file for path in paths for file in (path.glob("*.*") if path == FOLDER else path.rglob("*.*"))]
    return {file.relative_to(FOLDER).as_posix(): _read(file) for file in sorted(files) if file.suffix in TYPES}


def add_page(web: FastAPI) -> None:
    """Add the routes of the viewer. They are open: what they send is the same for everybody."""

    @web.get("/", response_class=Response, responses={**documented(), **_kind("text/html")})
    async def viewer(request: Request) -> Response:
        """Send the viewer's page."""
        return _answer(request, "index.html")

    @web.get("/viewer/{name:path}", response_class=Response, responses={**documented(404), **_kind("text/javascript")})
    async def viewer_file(request: Request, name: str) -> Response:
        """Send one of its files."""
        return _answer(request, name)


def _kind(media_type: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}, "description": "The file."}}


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    return PageFile(content, TYPES[path.suffix], f'"{sha256(content).hexdigest()[:16]}"')


def _answer(request: Request, name: str) -> Response:
    file = page_files().get(name)
    if file is None:
        raise ApiError(404, "no such file of the viewer")
    headers = {"etag": file.etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
