"""The HTTP front of a run: FastAPI on Ray Serve. `build_app` makes the graph from typed settings."""

import asyncio
import time
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from ray import serve
from ray.exceptions import RayTaskError
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException as StarletteHTTPException

from featurelib.errors import FeaturelibError
from featurelib.geometry import SIDES, Projection
from serve.catalogue import Catalogue
from serve.deployments import DetectorStage, LifterStage
from serve.schemas import (
    ErrorAnswer,
    Infer3dAnswer,
    Infer3dRequest,
    InferAnswer,
    InferRequest,
    KnownView,
    Landmark,
    ObjectAnswer,
    ObjectList,
    ViewAnswer,
)

CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported",
    422: "invalid",
    503: "not_ready",
}


class AppSettings(BaseModel):
    """Settings of the graph.

    run: folder or s3:// URI. detector_replicas, lifter_replicas: how many of each.
    cpus_per_replica: that Ray sets aside for each.
    """

    run: str
    detector_replicas: int = Field(default=1, ge=1)
    lifter_replicas: int = Field(default=1, ge=1)
    cpus_per_replica: float = Field(default=0.1, gt=0)


web = FastAPI(
    title="featurelib", description="Landmarks in pictures and in millimetres.", docs_url=None, redoc_url=None
)
FAILURES: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (400, 404, 422, 500)}


@web.exception_handler(StarletteHTTPException)
async def _refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
    return _error(error.status_code, str(error.detail))


@web.exception_handler(RequestValidationError)
async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return _error(422, f"{place}: {first['msg']}")


@web.exception_handler(Exception)
async def _failed(_: Request, error: Exception) -> JSONResponse:
    cause = error.cause if isinstance(error, RayTaskError) else error
    return (
        _error(422, str(cause))
        if isinstance(cause, FeaturelibError)
        else _error(500, "the server failed on this request")
    )


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": CODES.get(status, "failed"), "message": message}}, status)


# Serve copies the routes when the class below is made, so what they call stands above it.
def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)


def _near(rows: list[dict[str, Any]], pairs_xy: np.ndarray) -> np.ndarray:
    """Return the positions (n, 2) of the instance that is near in each view."""
    return np.stack([pair[SIDES.index(row["near_side"])] for row, pair in zip(rows, pairs_xy, strict=True)])


@serve.deployment
@serve.ingress(web)
class Front:
    """The routes. It reads pre-rendered views and passes them through the stages."""

    def __init__(self, run: str, detector: DeploymentHandle, lifter: DeploymentHandle) -> None:
        """Open the run's catalogue."""
        self.catalogue = Catalogue.of(run)
        self.default_projection = next(iter(self.catalogue.manifests))
        self.detector, self.lifter = detector, lifter

    @web.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """Say 200 once the stages have loaded and warmed their models."""
        await self._sigmas_px(self.default_projection)
        return {"status": "ok"}

    @web.get("/objects", responses=FAILURES)
    async def objects(
        self, offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> ObjectList:
        """List the run's objects."""
        ids = self.catalogue.object_ids
        return ObjectList(total=len(ids), offset=offset, objects=list(ids[offset : offset + limit]))

    @web.get("/objects/{object_id}", responses=FAILURES)
    async def object(self, object_id: str, projection: Projection | None = None) -> ObjectAnswer:
        """Describe one object."""
        chosen = self._projection(projection)
        rows = await self._views(object_id, chosen)
        spec, first = self.catalogue.manifests[chosen].spec, rows[0]
        return ObjectAnswer(
            object_id=object_id,
            projection=chosen,
            split=first["split"],
            centre_mm=first["centre_mm"],
            left_mm=first["left_mm"],
            right_mm=first["right_mm"],
            alignment={"unit": spec.unit, **spec.alignment.to_dict()},
            views=[
                KnownView(
                    view=row["view"], near_side=row["near_side"], xy=row["xy"], **vars(spec.rig.views[row["view"]])
                )
                for row in rows
            ],
        )

    @web.get("/objects/{object_id}/views/{view}.png", responses=FAILURES, response_class=Response)
    async def picture(self, object_id: str, view: int, projection: Projection | None = None) -> Response:
        """Send one rendered view."""
        rows = await self._views(object_id, self._projection(projection), view)
        return Response(rows[0]["png"], media_type="image/png")

    @web.post("/infer", responses=FAILURES)
    async def infer(self, request: InferRequest) -> InferAnswer:
        """Find the near landmark in one view."""
        started = time.perf_counter()
        projection = self._projection(request.projection)
        rows = await self._views(request.object_id, projection, request.view)
        seen, version = await self.detector.remote(projection, [rows[0]["png"]])
        xy = _near(rows, seen.pair_xy)
        answer = self._view_answer(rows[0], xy[0], await self._sigmas_px(projection))
        return InferAnswer(**answer.model_dump(exclude={"view"}), model=version, ms=_ms_since(started))

    @web.post("/infer/3d", responses=FAILURES)
    async def infer_3d(self, request: Infer3dRequest) -> Infer3dAnswer:
        """Find both landmarks in millimetres from all views."""
        started = time.perf_counter()
        projection = self._projection(request.projection)
        rows = await self._views(request.object_id, projection)
        read = time.perf_counter()
        seen, version = await self.detector.remote(projection, [row["png"] for row in rows])
        xy = _near(rows, seen.pair_xy)
        detected = time.perf_counter()
        lifted = await self.lifter.remote(projection, request.object_id, xy, seen, rows[0]["centre_mm"], request.method)
        sigmas_px = await self._sigmas_px(projection)
        left, right = (
            Landmark(xyz=xyz, sigma_mm=sigma) for xyz, sigma in zip(lifted.pair_mm, lifted.sigma_mm, strict=True)
        )
        return Infer3dAnswer(
            left=left,
            right=right,
            method=lifted.method,
            accepted=lifted.claim and lifted.claim.accepted,
            reason=lifted.claim and lifted.claim.reason,
            model=version,
            views=[self._view_answer(row, position, sigmas_px) for row, position in zip(rows, xy, strict=True)],
            timings_ms={
                "read": 1000 * (read - started),
                "detect": 1000 * (detected - read),
                "lift": _ms_since(detected),
                "total": _ms_since(started),
            },
        )

    def _projection(self, asked: Projection | None) -> Projection:
        if asked is not None and asked not in self.catalogue.manifests:
            raise HTTPException(
                404, f"projection {asked}: not in this run; it has {', '.join(self.catalogue.manifests)}"
            )
        return asked or self.default_projection

    async def _views(self, object_id: str, projection: Projection, view: int | None = None) -> list[dict[str, Any]]:
        rows = await asyncio.to_thread(self.catalogue.views, object_id, projection, view)
        if not rows:
            what = "" if view is None else f" view {view}"
            raise HTTPException(404, f"object {object_id!r}{what}: not in this run's {projection} pictures")
        return rows

    async def _sigmas_px(self, projection: Projection) -> list[float] | None:
        """Return the detector's root mean square error in px, by view."""
        noise = await self.lifter.noise_xy.remote(projection)
        size = self.catalogue.manifests[projection].spec.image_size
        return None if noise is None else [size * float(np.hypot(*pair)) for pair in noise]

    def _view_answer(self, row: dict[str, Any], xy: np.ndarray, sigmas_px: list[float] | None) -> ViewAnswer:
        view = row["view"]
        return ViewAnswer(
            view=view,
            xy=xy.tolist(),
            px=(xy * (row["width"], row["height"])).tolist(),
            side=self.catalogue.manifests[row["projection"]].spec.rig.views[view].near_side,
            sigma_px=None if sigmas_px is None else sigmas_px[view],
        )


def build_app(settings: AppSettings) -> serve.Application:
    """Return the graph: Front -> DetectorStage, LifterStage."""
    actor = {"num_cpus": settings.cpus_per_replica}
    detector, lifter, front = (
        stage.options(num_replicas=replicas, ray_actor_options=actor)  # type: ignore[union-attr]  # Deployments
        for stage, replicas in (
            (DetectorStage, settings.detector_replicas),
            (LifterStage, settings.lifter_replicas),
            (Front, 1),
        )
    )
    return front.bind(settings.run, detector.bind(settings.run), lifter.bind(settings.run))
