"""The routes: what each takes, returns and rejects. /openapi.json is made from them."""

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from featurelib.geometry import Projection
from featurelib.labelling.queue import Queue
from serve.api.about import About, landmarks_of, pair_name
from serve.api.annotations import add_labelling
from serve.api.bodies import FORM_TYPE, JSON_TYPE, read_body
from serve.api.errors import ApiError, add_error_handlers, documented
from serve.api.queue import queue_of
from serve.api.requests import ImageOptions, Infer3dRequest, InferRequest, MeshOptions
from serve.api.responses import object_response
from serve.api.schemas import Health, Infer3dResponse, InferResponse, ObjectList, ObjectResponse
from serve.api.scores import Scores, read_scores
from serve.api.static_files import add_viewer
from serve.orchestrator import Orchestrator
from serve.settings import LimitSettings

ObjectIdPath = Annotated[str, Path(max_length=256)]


def build_web(graph: Orchestrator, limits: LimitSettings, *, with_token: bool) -> FastAPI:
    """Return the routes over a graph; `with_token` only documents the token, which the middleware checks."""
    web = FastAPI(
        title="featurelib",
        description="Landmarks in images and in millimetres.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(HTTPBearer(auto_error=False))] if with_token else [],
    )
    add_error_handlers(web, graph.private_uris)
    _add_inference(web, graph, limits)
    _add_objects(web, graph)
    add_labelling(web, graph.labelled)
    add_viewer(web)
    return web


def _add_inference(web: FastAPI, graph: Orchestrator, limits: LimitSettings) -> None:
    @web.get("/healthz", responses=documented())
    async def healthz() -> Health:
        """Return 200 once the models are loaded and warm."""
        await graph.check_ready()
        return Health()

    errors = documented(400, 404, 408, 413, 415, 422)

    image_body = _request_body(InferRequest, "image", ImageOptions)

    @web.post("/infer", responses=errors, openapi_extra=image_body, response_model_exclude_unset=True)
    async def infer(request: Request) -> InferResponse:
        """Find all landmarks in one view of an object, or in a PNG or JPEG."""
        body = await read_body(request, limits, InferRequest, "image", ImageOptions)
        if isinstance(body, InferRequest):
            return await graph.detect_in_view(body)
        form, options = body
        return await graph.detect_in_image(form.content, options)

    mesh_body = _request_body(Infer3dRequest, "mesh", MeshOptions)

    @web.post("/infer/3d", responses=errors, openapi_extra=mesh_body, response_model_exclude_unset=True)
    async def infer_3d(request: Request) -> Infer3dResponse:
        """Find all landmarks in millimetres: of an object, or of a PLY, OBJ, STL, GLB, OFF, VTK or VTP file."""
        body = await read_body(request, limits, Infer3dRequest, "mesh", MeshOptions)
        if isinstance(body, Infer3dRequest):
            return await graph.predict_object(body)
        form, options = body
        return await graph.predict_upload(form.content, form.filename, options)


def _add_objects(web: FastAPI, graph: Orchestrator) -> None:
    @web.get("/about", responses=documented())
    async def about() -> About:
        """Return what is served."""
        return About(
            landmark=pair_name(graph.landmarks),
            landmarks=landmarks_of(graph.landmarks),
            projections=list(graph.index.manifests),
            labelling=graph.labelled is not None,
            folds=graph.index.folds,
        )

    @web.get("/scores", responses=documented(404, 422))
    async def scores(projection: Projection | None = None) -> Scores:
        """Return the report's scores of the run's objects and of the landmarks."""
        chosen = graph.index.projection(projection)
        return await asyncio.to_thread(read_scores, str(graph.run), graph.index.landmarks(chosen), chosen)

    @web.get("/queue", responses=documented(404, 422))
    async def queue() -> Queue:
        """Return the objects to label and the labels to review, as `featurelib suggest` wrote them into the run."""
        if graph.labelled is None:
            raise ApiError(404, "labelling is off; serve with --label")
        return await asyncio.to_thread(queue_of, graph.run, graph.labelled.files)

    @web.get("/objects", responses=documented(422))
    async def objects(
        offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> ObjectList:
        """List the run's objects."""
        ids = graph.index.object_ids
        return ObjectList(total=len(ids), offset=offset, objects=list(ids[offset : offset + limit]))

    @web.get("/objects/{object_id}", responses=documented(404, 422), response_model_exclude_unset=True)
    async def one_object(object_id: ObjectIdPath, projection: Projection | None = None) -> ObjectResponse:
        """Return one object."""
        chosen = graph.index.projection(projection)
        rows = await graph.index.rows(object_id, chosen)
        return object_response(graph.index.spec(chosen), graph.index.landmarks(chosen), rows)

    @web.get("/objects/{object_id}/views/{view}.png", **_file("image/png"))
    async def image(object_id: ObjectIdPath, view: int, projection: Projection | None = None) -> Response:
        """Return one rendered view."""
        rows = await graph.index.rows(object_id, graph.index.projection(projection), view)
        return Response(rows[0]["png"], media_type="image/png")

    @web.get("/objects/{object_id}/mesh.glb", **_file("model/gltf-binary"))
    async def mesh(object_id: ObjectIdPath) -> Response:
        """Return the mesh in the object frame, in mm."""
        return Response(await graph.glb(object_id), media_type="model/gltf-binary")


def _request_body(as_json: type[BaseModel], file_field: str, options: type[BaseModel]) -> dict[str, Any]:
    """Return OpenAPI's description of a body that is JSON or a form with one file and options."""
    form = options.model_json_schema()
    form["properties"] = {file_field: {"type": "string", "format": "binary"}, **form["properties"]}
    form["required"] = [file_field]
    content = {JSON_TYPE: {"schema": as_json.model_json_schema()}, FORM_TYPE: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _file(media_type: str) -> dict[str, Any]:
    """Return the description of a route that returns a file."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    responses = {**documented(404, 422), 200: {"content": content, "description": "The file."}}
    return {"response_class": Response, "responses": responses}
