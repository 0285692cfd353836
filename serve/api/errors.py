"""How a request is refused: one exception, and one form of answer for every status."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from serve.api.schemas import ErrorAnswer

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
"""What programs read, by HTTP status."""


REASONS = {
    400: "The body is not the JSON or the form that it claims to be.",
    401: "The token is missing or wrong.",
    404: "The server has no such object, view, projection or file.",
    405: "The route has no such method.",
    408: "The body did not arrive in time.",
    409: "Somebody else saved this meanwhile.",
    413: "The body, the image or the mesh is larger than the server takes.",
    415: "The content is of no type that is read here.",
    422: "A value is not as documented, or a file is damaged.",
    500: "The server failed on this request; its log has the request's id.",
    503: "Too much is under way, or the models are not ready; Retry-After says when to ask again.",
}
"""What /openapi.json says of each."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of a route's refusals; any route may answer with the last ones."""
    return {s: {"model": ErrorAnswer, "description": REASONS[s]} for s in (*statuses, 401, 405, 500, 503)}


class ApiError(Exception):
    """A request that is answered with an error: `status` of CODES, a line for people, and headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Take what the answer will say."""
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


def error_answer(status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that is refused or has failed."""
    body = {"code": CODES.get(status, "failed"), "message": message, "request_id": request_id}
    return JSONResponse({"error": body}, status, headers)
