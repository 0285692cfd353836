"""The viewer's files: read once and served by name only, so that no request reaches another file."""

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
"""Media types by suffix; files with another suffix are not served."""


@dataclass(frozen=True)
class ViewerFile:
    """A file's content, its media type, and its tag for the browser's cache."""

    content: bytes
    media_type: str
    etag: str


@cache
def viewer_files() -> dict[str, ViewerFile]:
    """Return the viewer's files by path within its folder; `vendor/` has three.js, if `make setup` found npm."""
    paths = [FOLDER, *(path for path in FOLDER.iterdir() if path.name != "node_modules")]
    files = [file for path in paths for file in (path.glob("*.*") if path == FOLDER else path.rglob("*.*"))]
    return {file.relative_to(FOLDER).as_posix(): _read(file) for file in sorted(files) if file.suffix in TYPES}


def add_viewer(web: FastAPI) -> None:
    """Add the routes of the viewer. They need no token, since they contain no data of the run."""

    @web.get("/", response_class=Response, responses={**documented(), **_file("text/html")})
    async def viewer(request: Request) -> Response:
        """Return the viewer's page."""
        return _response(request, "index.html")

    @web.get("/viewer/{name:path}", response_class=Response, responses={**documented(404), **_file("text/javascript")})
    async def viewer_file(request: Request, name: str) -> Response:
        """Return one of the viewer's files."""
        return _response(request, name)


def _file(media_type: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}, "description": "The file."}}


def _read(path: Path) -> ViewerFile:
    content = path.read_bytes()
    return ViewerFile(content, TYPES[path.suffix], f'"{sha256(content).hexdigest()[:16]}"')


def _response(request: Request, name: str) -> Response:
    file = viewer_files().get(name)
    if file is None:
        raise ApiError(404, "no such file of the viewer")
    headers = {"etag": file.etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
