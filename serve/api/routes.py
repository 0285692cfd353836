"""The routes: what each takes, answers and refuses; with it, /openapi.json."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ValidationError
from ray.exceptions import RayTaskError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featurelib.errors import FeaturelibError
from featurelib.geometry import Projection
from serve.api.annotations import add_labelling
from serve.api.errors import ApiError, documented, error_answer
from serve.api.multipart import Form, media_type, parse_form
from serve.api.schemas import (
    About,
    Health,
    ImageRequest,
    Infer3dAnswer,
    Infer3dRequest,
    InferAnswer,
    InferRequest,
    KnownView,
    ObjectAnswer,
    ObjectList,
    Scores,
    UploadRequest,
)
from serve.api.scores import read_scores
from serve.api.static_files import add_page
from serve.orchestrator import Orchestrator
from serve.settings import LimitSettings

JSON_TYPE, FORM_TYPE = "application/json", "multipart/form-data"

logger = logging.getLogger("ray.serve")

Asked = TypeVar("Asked", bound=BaseModel)
ObjectIdPath = Annotated[str, Path(max_length=256)]


def _file(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file."}}


def _bodies(as_json: type[BaseModel], file_field: str, beside: type[BaseModel]) -> dict[str, Any]:
    """Return OpenAPI's description of a body that is JSON or a form with one file."""
    form = beside.model_json_schema()
    form["properties"] = {file_field: {"type": "string", "format": "binary"}, **form["properties"]}
    form["required"] = [file_field]
    content = {JSON_TYPE: {"schema": as_json.model_json_schema()}, FORM_TYPE: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def build_web(graph: Orchestrator, limits: LimitSettings, *, with_token: bool) -> FastAPI:
    """Return the routes over a graph; `with_token` only says so in /openapi.json, the door asks for it."""
    web = FastAPI(
        title="featurelib",
        description="Landmarks in images and in millimetres.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(HTTPBearer(auto_error=False))] if with_token else [],
    )
    _add_error_handlers(web, graph.places)
    _add_questions(web, graph, limits)
    _add_objects(web, graph)
    add_labelling(web, graph.labelled)
    add_page(web)
    return web


def _add_questions(web: FastAPI, graph: Orchestrator, limits: LimitSettings) -> None:
    @web.get("/healthz", responses=documented())
    async def healthz() -> Health:
        """Say 200 once the stages have loaded and warmed their models."""
        await graph.check_ready()
        return Health()

    asks_2d = _bodies(InferRequest, "image", ImageRequest)
    refusals = documented(400, 404, 408, 413, 415, 422)

    @web.post("/infer", responses=refusals, openapi_extra=asks_2d)
    async def infer(request: Request) -> InferAnswer:
        """Find the near landmark in one view of an object, or in a PNG or JPEG."""
        asked = await _read(request, limits, InferRequest, "image", ImageRequest)
        if isinstance(asked, InferRequest):
            return await graph.find_in_view(asked)
        form, beside = asked
        return await graph.find_in_picture(form.content, beside)

    asks_3d = _bodies(Infer3dRequest, "mesh", UploadRequest)

    @web.post("/infer/3d", responses=refusals, openapi_extra=asks_3d)
    async def infer_3d(request: Request) -> Infer3dAnswer:
        """Find both landmarks in millimetres: of an object, or of a PLY, OBJ, STL, GLB or OFF file."""
        asked = await _read(request, limits, Infer3dRequest, "mesh", UploadRequest)
        if isinstance(asked, Infer3dRequest):
            return await graph.find_in_object(asked)
        form, beside = asked
        return await graph.find_in_mesh(form.content, form.filename, beside)


def _add_objects(web: FastAPI, graph: Orchestrator) -> None:
    @web.get("/about", responses=documented())
    async def about() -> About:
        """Say what is served."""
        dataset = graph.dataset
        return About(
            landmark=dataset.landmark if dataset else None,
            projections=list(graph.catalogue.manifests),
            labelling=graph.labelled is not None,
        )

    @web.get("/scores", responses=documented(404, 422))
    async def scores(projection: Projection | None = None) -> Scores:
        """Say how the run's report judges its objects."""
        chosen = graph.projection(projection)
        return await asyncio.to_thread(read_scores, str(graph.run), chosen)

    @web.get("/objects", responses=documented(422))
    async def objects(
        offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> ObjectList:
        """List the run's objects."""
        ids = graph.catalogue.object_ids
        return ObjectList(total=len(ids), offset=offset, objects=list(ids[offset : offset + limit]))

    @web.get("/objects/{object_id}", responses=documented(404, 422))
    async def one_object(object_id: ObjectIdPath, projection: Projection | None = None) -> ObjectAnswer:
        """Describe one object."""
        chosen = graph.projection(projection)
        rows = await graph.rows(object_id, chosen)
        spec, first = graph.catalogue.manifests[chosen].spec, rows[0]
        return ObjectAnswer(
            object_id=object_id,
            projection=chosen,
            split=first["split"],
            centre_mm=first["centre_mm"],
            left_mm=first["left_mm"],
            right_mm=first["right_mm"],
            alignment={"unit": spec.unit, **spec.alignment.to_dict()},
            views=[KnownView(**row, **vars(spec.rig.views[row["view"]])) for row in rows],
        )

    png: dict[str, Any] = {"response_class": Response, "responses": {**documented(404, 422), **_file("image/png")}}

    @web.get("/objects/{object_id}/views/{view}.png", **png)
    async def image(object_id: ObjectIdPath, view: int, projection: Projection | None = None) -> Response:
        """Send one rendered view."""
        rows = await graph.rows(object_id, graph.projection(projection), view)
        return Response(rows[0]["png"], media_type="image/png")

    glb: dict[str, Any] = {
        "response_class": Response,
        "responses": {**documented(404, 422), **_file("model/gltf-binary")},
    }

    @web.get("/objects/{object_id}/mesh.glb", **glb)
    async def mesh(object_id: ObjectIdPath) -> Response:
        """Send the mesh in the object frame, in mm."""
        return Response(await graph.glb(object_id), media_type="model/gltf-binary")


async def _read(
    request: Request, limits: LimitSettings, as_json: type[Asked], file_field: str, beside: type[BaseModel]
) -> Any:
    """Return a request's body: what was asked as JSON, or a form and what stands beside its file."""
    content_type = request.headers.get("content-type", "")
    kind = media_type(content_type)
    if kind not in (JSON_TYPE, FORM_TYPE):
        raise ApiError(415, f"Content-Type: expected {JSON_TYPE} or {FORM_TYPE}")
    body = await _body(request, limits.body_seconds)
    if kind == JSON_TYPE:
        if len(body) > limits.json_kb * 1024:
            raise ApiError(413, f"the JSON is larger than {limits.json_kb} KiB")
        return _checked(lambda: as_json.model_validate_json(body))
    texts = [*beside.model_fields]
    form: Form = await asyncio.to_thread(parse_form, content_type, body, file_field, texts)
    if not form.content:
        raise ApiError(422, f"{file_field}: is empty")
    return form, _checked(lambda: beside.model_validate(form.texts))


async def _body(request: Request, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {seconds:g} s", {"connection": "close"}) from None


def _checked(validate: Callable[[], Asked]) -> Asked:
    """Return what a model makes of a body.

    Raises:
        ApiError: 400 if it is no JSON, 422 if a value is not as documented.
    """
    try:
        return validate()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _api_error_of(first) from None


def _api_error_of(first: Any) -> ApiError:
    place = ".".join(str(part)[:64] for part in first["loc"]) or "body"
    return ApiError(400 if first["type"] == "json_invalid" else 422, f"{place}: {first['msg']}"[:400])


def _add_error_handlers(web: FastAPI, places: Sequence[str]) -> None:
    """Give every failure the contract's form."""

    @web.exception_handler(ApiError)
    async def refused(request: Request, refusal: ApiError) -> JSONResponse:
        return error_answer(refusal.status, str(refusal), request.state.request_id, refusal.headers)

    @web.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> JSONResponse:
        return error_answer(error.status_code, str(error.detail), request.state.request_id, error.headers)

    @web.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        refusal = _api_error_of({**first, "loc": first["loc"][1:]})
        return error_answer(422, str(refusal), request.state.request_id)

    web.add_middleware(_Failures, places=places)


class _Failures:
    """ASGI: whatever nobody foresaw becomes a 500 and a traceback in the log, and nothing of it goes out."""

    def __init__(self, app: ASGIApp, places: Sequence[str]) -> None:
        self.app, self.places = app, places

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
            await _failure(error, scope["state"]["request_id"], self.places)(scope, receive, send)


def _failure(error: Exception, request_id: str, places: Sequence[str]) -> JSONResponse:
    """Return the answer to what nobody foresaw; an error that names a place of the server is not the client's."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, FeaturelibError) and not any(place in str(cause) for place in places):
        return error_answer(422, str(cause), request_id)
    logger.error("request %s failed", request_id, exc_info=error)
    return error_answer(500, "the server failed on this request", request_id)
