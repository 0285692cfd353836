"""Every request passes here before the routes: its id, the token, the size of its body, CORS, and the headers.

Plain ASGI, so that the body of a rejected request is never read.
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
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.api.errors import ApiError, error_response
from serve.api.limiter import ConcurrencyLimiter
from serve.metrics import Meters

OPEN = frozenset({"/healthz", "/"})
OPEN_FOLDER = "/viewer/"
"""Paths that need no token: probes have none, and the viewer's files contain no data of the run."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Ids that a client may choose; others are rejected, because the log has them."""

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
"""Defaults of every response: pages load nothing from other servers, and browsers cache nothing."""

logger = logging.getLogger("ray.serve")


def digest_of(token: str | None) -> bytes | None:
    """Return the hash of a token: replicas compare hashes and do not hold the token."""
    return None if token is None else sha256(token.encode()).digest()


@dataclass(frozen=True)
class MiddlewareRules:
    """What a request must satisfy. token_sha256: None if no token is needed. max_body: bytes."""

    token_sha256: bytes | None
    cors_origins: Sequence[str]
    max_body: int


class Middleware:
    """ASGI: gives each request an id and each response its headers, and logs and counts it."""

    def __init__(self, app: ASGIApp, rules: MiddlewareRules, bodies: ConcurrencyLimiter, meters: Meters) -> None:
        """Take the application, the rules, the limiter of concurrent bodies and the metrics."""
        self.app, self.origins, self.meters = app, rules.cors_origins, meters
        self.guarded = _Guard(app, rules, bodies)
        self.for_origins = CORSMiddleware(
            self.guarded,
            allow_origins=rules.cors_origins,
            allow_methods=("GET", "POST", "PUT"),
            allow_headers=("authorization", "content-type", "x-request-id"),
            expose_headers=("x-request-id", "retry-after"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return
        started, headers = time.perf_counter(), Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def respond(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(scope=message), headers, request_id)
            await send(message)

        app = self.for_origins if headers.get("origin") in self.origins else self.guarded
        try:
            await app(scope, receive, respond)
        finally:
            self._log(scope, request_id, status, 1000 * (time.perf_counter() - started))

    def _complete(self, headers: MutableHeaders, request_headers: Headers, request_id: str) -> None:
        if "access-control-allow-origin" in headers:
            headers["cross-origin-resource-policy"] = "cross-origin"
        elif self.origins:
            headers.add_vary_header("Origin")
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if request_headers.get("x-request-id") is None:  # else Ray Serve's proxy adds it
            headers["x-request-id"] = request_id

    def _log(self, scope: Scope, request_id: str, status: int, ms: float) -> None:
        """Count the request and write one line of JSON, with the route in place of the path that the client sent."""
        route = getattr(scope.get("route"), "path", "none")
        self.meters.count_response(route, status, ms)
        line = {"request_id": request_id, "method": scope["method"], "route": route, "status": status}
        logger.info(json.dumps(line | {"ms": round(ms, 1)}))


class _Guard:
    """ASGI: rejects a request without the token, with a wrong id or with too large a body."""

    def __init__(self, app: ASGIApp, rules: MiddlewareRules, bodies: ConcurrencyLimiter) -> None:
        self.app, self.rules, self.bodies = app, rules, bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, request_id = Headers(scope=scope), scope["state"]["request_id"]
        try:
            if request_id != headers.get("x-request-id", request_id):
                raise ApiError(400, "X-Request-ID: expected 1 to 64 letters, digits, dots, dashes or underscores")
            self._check_token(scope["path"], headers)
            with self.bodies(self._body_bytes(scope["method"], headers)):
                await self.app(scope, _LimitedReceive(receive, self.rules.max_body), send)
        except ApiError as error:
            await error_response(error.status, str(error), request_id, error.headers)(scope, receive, send)

    def _check_token(self, path: str, headers: Headers) -> None:
        """Reject a request without the token; hashes are compared, so timing reveals neither length nor content."""
        expected = self.rules.token_sha256
        if expected is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return
        kind, _, token = headers.get("authorization", "").partition(" ")
        given = sha256(token.strip().encode("latin-1", "replace")).digest()
        if kind.lower() != "bearer" or not hmac.compare_digest(given, expected):
            message = "this server requires `Authorization: Bearer <token>`"
            raise ApiError(401, message, {"www-authenticate": "Bearer"})

    def _body_bytes(self, method: str, headers: Headers) -> int:
        """Return the size of a body; if it is not declared, the largest allowed size."""
        if method in ("GET", "HEAD", "OPTIONS"):
            return 0
        declared = headers.get("content-length", "")
        size = int(declared) if declared.isascii() and declared.isdigit() else self.rules.max_body
        if size > self.rules.max_body:
            raise _too_large(self.rules.max_body)
        return size


class _LimitedReceive:
    """ASGI's `receive`, which raises an ApiError after a number of bytes, whatever size the headers declare."""

    def __init__(self, receive: Receive, max_body: int) -> None:
        self.receive, self.max_body, self.count = receive, max_body, 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self.count += len(message.get("body", b""))
        if self.count > self.max_body:
            raise _too_large(self.max_body)
        return message


def _too_large(max_body: int) -> ApiError:
    # Without `Connection: close`: uvicorn reads the rest of the body and drops it. HAProxy does not forward the header,
    # so the client would not learn that the connection closes, and 2 of 60 next requests on it had no response.
    return ApiError(413, f"the body is larger than {max_body:,} bytes")


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
