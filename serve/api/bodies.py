"""A request's body: JSON, or a form with one file and options."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from serve.api.errors import ApiError, invalid
from serve.api.multipart import Form, read_form
from serve.settings import LimitSettings

JSON_TYPE, FORM_TYPE = "application/json", "multipart/form-data"

JsonRequest = TypeVar("JsonRequest", bound=BaseModel)
Options = TypeVar("Options", bound=BaseModel)
Model = TypeVar("Model", bound=BaseModel)


async def read_body(
    request: Request, limits: LimitSettings, as_json: type[JsonRequest], file_field: str, options: type[Options]
) -> JsonRequest | tuple[Form, Options]:
    """Return a request's JSON, or its form and the options sent with the file.

    Raises:
        ApiError: if the body is neither, comes too late, is too large or has an invalid value.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (JSON_TYPE, FORM_TYPE):
        raise ApiError(415, f"Content-Type: expected {JSON_TYPE} or {FORM_TYPE}")
    try:
        async with asyncio.timeout(limits.body_seconds):
            if kind == JSON_TYPE:
                body = await request.body()
            else:
                form = await read_form(request.headers, request.stream(), file_field, [*options.model_fields])
    except TimeoutError:
        message = f"the body did not arrive within {limits.body_seconds:g} s"
        raise ApiError(408, message, {"connection": "close"}) from None
    if kind == FORM_TYPE:
        if not form.content:
            raise ApiError(422, f"{file_field}: empty")
        return form, _validated(lambda: options.model_validate(form.texts))
    if len(body) > limits.json_kb * 1024:
        raise ApiError(413, f"the JSON is larger than {limits.json_kb} KiB")
    return _validated(lambda: as_json.model_validate_json(body))


def _validated(validate: Callable[[], Model]) -> Model:
    try:
        return validate()
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)[0]) from None
