"""Errors as responses: one exception, and one form for each status."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from ray.exceptions import RayTaskError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featurelib.errors import FeaturelibError
from serve.api.schemas import ErrorResponse

CODES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "unsupported",
    422: "invalid",
    500: "failed",
    503: "busy",
}
"""The code for programs, by HTTP status."""


REASONS = {
    400: "The body is not valid JSON or not a valid form.",
    401: "The token is missing or wrong.",
    404: "The server has no such object, view, projection or file.",
    405: "The route does not support the method.",
    408: "The body did not arrive in time.",
    409: "Another client saved this label first.",
    413: "The body or the image exceeds a limit.",
    415: "The content type is not supported.",
    422: "A value is invalid, or a file is damaged or exceeds a limit.",
    500: "The server failed; its log has the request's id.",
    503: "A concurrency limit is reached, or the models are not ready; retry after Retry-After seconds.",
}
"""The description of each status in /openapi.json."""

logger = logging.getLogger("ray.serve")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of a route's errors; the last four can come from any route."""
    return {s: {"model": ErrorResponse, "description": REASONS[s]} for s in (*statuses, 401, 405, 500, 503)}


class ApiError(Exception):
    """An error response: `status` of CODES, a line for people, and headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Take the parts of the response."""
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


def error_response(
    status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the response to a request that is rejected or has failed."""
    body = {"code": CODES.get(status, "failed"), "message": message, "request_id": request_id}
    return JSONResponse({"error": body}, status, headers)


def invalid(error: Mapping[str, Any]) -> ApiError:
    """Return the error for the first fault that pydantic found: 400 if the body is not JSON, else 422."""
    where = ".".join(str(part)[:64] for part in error["loc"]) or "body"
    return ApiError(400 if error["type"] == "json_invalid" else 422, f"{where}: {error['msg']}"[:400])


def add_error_handlers(web: FastAPI, private_uris: Sequence[str]) -> None:
    """Give every failure the form of an error response, without any of the private URIs."""

    @web.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> JSONResponse:
        return error_response(error.status, str(error), request.state.request_id, error.headers)

    @web.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, str(error.detail), request.state.request_id, error.headers)

    @web.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        message = str(invalid({**first, "loc": first["loc"][1:]}))
        return error_response(422, message, request.state.request_id)

    web.add_middleware(_Failures, private_uris=private_uris)


class _Failures:
    """ASGI: turns an unexpected exception into a response without details and a traceback in the log."""

    def __init__(self, app: ASGIApp, private_uris: Sequence[str]) -> None:
        self.app, self.private_uris = app, private_uris

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, begin)
        except Exception as error:
            if has_begun or scope["type"] != "http":
                raise
            await _failure(error, scope["state"]["request_id"], self.private_uris)(scope, receive, send)


def _failure(error: Exception, request_id: str, private_uris: Sequence[str]) -> JSONResponse:
    """Return the response to an unexpected exception; one that names a private URI is not the client's fault."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, FeaturelibError) and not any(uri in str(cause) for uri in private_uris):
        return error_response(422, str(cause), request_id)
    logger.error("request %s failed", request_id, exc_info=error)
    return error_response(500, "the server failed on this request", request_id)
