"""How a request is refused: one exception, and one form of answer for every status."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

CODES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported",
    422: "invalid",
    500: "failed",
    503: "busy",
}
"""What programs read, by HTTP status."""


class RefusedError(Exception):
    """A request that is answered with an error: `status` of CODES, a line for people, and headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Take what the answer will say."""
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


def error_answer(status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that is refused or has failed."""
    body = {"code": CODES.get(status, "failed"), "message": message, "request_id": request_id}
    return JSONResponse({"error": body}, status, headers)
