"""What every request passes before any route: its id, the token, the size of its body, and the headers that go back.

Plain ASGI, so that a body that will be refused is never read.
"""

import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.api.errors import ApiError, error_answer
from serve.api.limiter import ConcurrencyLimiter
from serve.metrics import Meters

OPEN = frozenset({"/healthz", "/"})
OPEN_FOLDER = "/viewer/"
"""Paths that need no token: probes have none, and the viewer's own files are the same for everybody."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Ids that a client may choose; others are replaced, since they end in logs."""

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer that does not say otherwise: pages load nothing from elsewhere, and nothing is kept."""

PREFLIGHT_HEADERS = {
    "access-control-allow-methods": "GET, POST, PUT",
    "access-control-allow-headers": "authorization, content-type, x-request-id",
    "access-control-max-age": "600",
}

logger = logging.getLogger("ray.serve")


def digest_of(token: str | None) -> bytes | None:
    """Return what the door keeps of a token: enough to compare, and nothing to steal."""
    return None if token is None else sha256(token.encode()).digest()


@dataclass(frozen=True)
class MiddlewareRules:
    """What the door asks for. token_sha256: None where no token is needed. max_body: bytes."""

    token_sha256: bytes | None
    cors_origins: Sequence[str]
    max_body: int


class Middleware:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, rules: MiddlewareRules, bodies: ConcurrencyLimiter, meters: Meters) -> None:
        """Take the application behind, what is asked for, and what bounds the bodies that are held at once."""
        self.app, self.rules, self.bodies, self.meters = app, rules, bodies, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return
        started, headers = time.perf_counter(), Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(scope=message), headers, request_id)
            await send(message)

        try:
            await self._let_in(scope, headers, receive, answer)
        finally:
            self._note(scope, request_id, status, 1000 * (time.perf_counter() - started))

    async def _let_in(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        try:
            if self._is_preflight(scope, headers):
                await Response(status_code=204, headers=PREFLIGHT_HEADERS)(scope, receive, send)
                return
            if scope["state"]["request_id"] != headers.get("x-request-id", scope["state"]["request_id"]):
                raise ApiError(400, "X-Request-ID: expected 1 to 64 letters, digits, dots, dashes or underscores")
            self._check_token(scope["path"], headers)
            with self.bodies(self._body_bytes(scope["method"], headers)):
                await self.app(scope, _Metered(receive, self.rules.max_body), send)
        except ApiError as refusal:
            refused = error_answer(refusal.status, str(refusal), scope["state"]["request_id"], refusal.headers)
            await refused(scope, receive, send)

    def _check_token(self, path: str, headers: Headers) -> None:
        """Refuse a request without the token; both are hashed first, so that neither length nor content shows."""
        expected = self.rules.token_sha256
        if expected is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return
        kind, _, token = headers.get("authorization", "").partition(" ")
        given = sha256(token.strip().encode("latin-1", "replace")).digest()
        if kind.lower() != "bearer" or not hmac.compare_digest(given, expected):
            message = "this server wants `Authorization: Bearer <token>`"
            raise ApiError(401, message, {"www-authenticate": "Bearer"})

    def _body_bytes(self, method: str, headers: Headers) -> int:
        """Return how many bytes a body may bring; of one that does not say, the most that are allowed."""
        if method in ("GET", "HEAD", "OPTIONS"):
            return 0
        declared = headers.get("content-length", "")
        size = int(declared) if declared.isascii() and declared.isdigit() else self.rules.max_body
        if size > self.rules.max_body:
            raise _too_large(self.rules.max_body)
        return size

    def _is_preflight(self, scope: Scope, headers: Headers) -> bool:
        asked = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        return asked and headers.get("origin") in self.rules.cors_origins

    def _complete(self, headers: MutableHeaders, asked: Headers, request_id: str) -> None:
        origin = asked.get("origin")
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if asked.get("x-request-id") is None:  # else Serve's proxy, which gives every request one, sends it back
            headers["x-request-id"] = request_id
        if self.rules.cors_origins:
            headers.add_vary_header("Origin")
        if origin in self.rules.cors_origins:
            headers["access-control-allow-origin"] = str(origin)
            headers["access-control-expose-headers"] = "x-request-id, retry-after"
            headers["cross-origin-resource-policy"] = "cross-origin"

    def _note(self, scope: Scope, request_id: str, status: int, ms: float) -> None:
        """Count the request, and write one line of JSON; the path as the client sent it is not in it."""
        route = getattr(scope.get("route"), "path", "none")
        self.meters.answered(route, status, ms)
        line = {
            "request_id": request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(ms, 1),
        }
        logger.info(json.dumps(line))


class _Metered:
    """A `receive` that refuses to go on past a number of bytes, whatever the headers said."""

    def __init__(self, receive: Receive, max_body: int) -> None:
        self.receive, self.max_body, self.count = receive, max_body, 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self.count += len(message.get("body", b""))
        if self.count > self.max_body:
            raise _too_large(self.max_body)
        return message


def _too_large(max_body: int) -> ApiError:
    # Without `Connection: close`: uvicorn reads what is left of the body and drops it. HAProxy does not pass the header
    # on, so a client never learns that its connection will close, and 2 of 60 next requests on it had no answer.
    return ApiError(413, f"the body is larger than {max_body:,} bytes")


def _request_id(headers: Headers) -> str:
    asked = headers.get("x-request-id", "")
    return asked if REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
