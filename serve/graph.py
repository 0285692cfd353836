"""The stages as one: a question in, an answer out. What runs where is Serve's; what follows what stands here."""

import asyncio
from collections.abc import Callable
from pathlib import PurePosixPath
from time import perf_counter
from typing import Any

import numpy as np
from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from featurelib.answers import Seen
from featurelib.geometry import SIDES, Projection
from featurelib.meshes import MESH_SUFFIXES
from serve.catalogue import Catalogue
from serve.deployments import Lifted
from serve.gate import Gate
from serve.metrics import Meters
from serve.pictures import read_picture
from serve.refusals import RefusedError
from serve.schemas import (
    Infer3dAnswer,
    Infer3dRequest,
    InferAnswer,
    InferRequest,
    Landmark,
    PictureRequest,
    UploadRequest,
    ViewAnswer,
)
from serve.settings import AppSettings

READY_SECONDS = 10.0
"""How long /healthz waits for the stages."""

Rows = list[dict[str, Any]]


class Graph:
    """Answers by asking the stages; used by one event loop."""

    def __init__(
        self,
        settings: AppSettings,
        detector: DeploymentHandle,
        lifter: DeploymentHandle,
        renderer: DeploymentHandle,
        meters: Meters,
    ) -> None:
        """Open the run's catalogue."""
        self.catalogue = Catalogue.of(settings.run)
        self.run, self.moved = settings.run, [settings.dataset] if settings.dataset else []
        self.limits, self.queues, self.meters = settings.limits, settings.queues, meters
        self.detector, self.lifter, self.renderer = detector, lifter, renderer
        self.pictures = self.gate("pictures", settings.queues.pictures)
        self.lifts = self.gate("lifts", settings.queues.lifts)
        self.meshes = self.gate("meshes", settings.queues.meshes)

    @property
    def places(self) -> list[str]:
        """Where the run and its datasets lie, which no answer may tell."""
        return sorted({self.run, *(manifest.dataset for manifest in self.catalogue.manifests.values()), *self.moved})

    def gate(self, stage: str, limit: int) -> Gate:
        """Return what bounds one thing that is under way."""
        return Gate(stage, limit, self.queues.retry_s, self.meters)

    async def check_ready(self) -> None:
        """Return once both networks' stages have answered.

        Raises:
            RefusedError: 503 if they have not in READY_SECONDS.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ask(self.detector.ready.remote)
                await self._ask(self.lifter.ready.remote)
        except TimeoutError:
            raise self._busy("the models are not ready") from None

    def projection(self, asked: Projection | None) -> Projection:
        """Return the projection asked for, else the one whose models erred least.

        Raises:
            RefusedError: 404 if the run does not have it.
        """
        known = self.catalogue.manifests
        if asked is not None and asked not in known:
            raise RefusedError(404, f"projection {asked}: not in this run; it has {', '.join(known)}")
        return asked if asked is not None else next(iter(known))

    async def rows(self, object_id: str, projection: Projection, view: int | None = None) -> Rows:
        """Return the rows of records.SHARD of an object, all views or one.

        Raises:
            RefusedError: 404 if there are none.
        """
        rows = await asyncio.to_thread(self.catalogue.views, object_id, projection, view)
        if not rows:
            what = "" if view is None else f" view {view}"
            raise RefusedError(404, f"object {object_id!r}{what}: not in this run's {projection} pictures")
        return rows

    async def find_in_view(self, asked: InferRequest) -> InferAnswer:
        """Find the near landmark in one view of an object."""
        started = perf_counter()
        projection = self.projection(asked.projection)
        rows = await self.rows(asked.object_id, projection, asked.view)
        seen, version = await self._detect(projection, [rows[0]["png"]], {})
        answer = self._view_answer(rows[0], _near(rows, seen.pair_xy)[0])
        return InferAnswer(**answer.model_dump(exclude={"view"}), model=version, ms=1000 * (perf_counter() - started))

    async def find_in_picture(self, content: bytes, asked: PictureRequest) -> InferAnswer:
        """Find the landmark in an uploaded picture: the instance that is seen best."""
        started = perf_counter()
        projection = self.projection(asked.projection)
        picture = await asyncio.to_thread(read_picture, content, self.limits.picture_pixels)
        seen, version = await self._detect(projection, [picture.png], {})
        is_told = bool(np.isfinite(seen.visible).all())
        best = int(seen.visible[0].argmax()) if is_told else 0
        xy = picture.xy(seen.pair_xy[0, best])
        sigmas = self._sigmas(projection)
        return InferAnswer(
            xy=xy.tolist(),
            px=(xy * picture.size).tolist(),
            side=("right" if best else "left") if is_told else None,
            sigma_px=None if sigmas is None else picture.side * float(np.sqrt(np.mean(np.square(sigmas)))),
            model=version,
            ms=1000 * (perf_counter() - started),
        )

    async def find_in_object(self, asked: Infer3dRequest) -> Infer3dAnswer:
        """Find both landmarks of an object of the run from all its views."""
        started, timings_ms = perf_counter(), dict[str, float]()
        projection = self.projection(asked.projection)
        with self.meters.stage("read", timings_ms):
            rows = await self.rows(asked.object_id, projection)
        seen, version = await self._detect(projection, [row["png"] for row in rows], timings_ms)
        xy = _near(rows, seen.pair_xy)
        with self.lifts(), self.meters.stage("lift", timings_ms):
            arguments = (projection, asked.object_id, xy, seen, rows[0]["centre_mm"], asked.method)
            lifted = await self._ask(self.lifter.remote, *arguments)
        timings_ms["total"] = 1000 * (perf_counter() - started)
        views = [self._view_answer(row, position) for row, position in zip(rows, xy, strict=True)]
        return _answer_3d(lifted, version, views, timings_ms)

    async def find_in_mesh(self, content: bytes, filename: str, asked: UploadRequest) -> Infer3dAnswer:
        """Find both landmarks of an uploaded mesh."""
        started, timings_ms = perf_counter(), dict[str, float]()
        projection = self.projection(asked.projection)
        suffix = PurePosixPath(filename).suffix.lower()
        file_type = suffix if suffix in MESH_SUFFIXES else ".ply"
        with self.meshes(), self.meters.stage("render", timings_ms):
            look = await self._ask(self.renderer.look.remote, projection, content, file_type, asked.unit)
        seen, version = await self._detect(projection, list(look.pngs), timings_ms)
        with self.lifts(), self.meters.stage("lift", timings_ms):
            lifted = await self._ask(self.lifter.uploaded.remote, projection, look.mesh, seen, asked.method)
        timings_ms["total"] = 1000 * (perf_counter() - started)
        size = self.catalogue.manifests[projection].spec.image_size
        shared = {"projection": projection, "width": size, "height": size}
        views = [self._view_answer({**shared, "view": i}, xy) for i, xy in enumerate(lifted.near_xy)]
        return _answer_3d(lifted, version, views, timings_ms)

    async def glb(self, object_id: str, projection: Projection) -> bytes:
        """Return an object's mesh as GLB in the object frame.

        Raises:
            RefusedError: 404 if there is no such object, or its mesh is not at hand.
        """
        if object_id not in self.catalogue:
            raise RefusedError(404, f"object {object_id!r}: not in this run")
        with self.meshes():
            glb: bytes | None = await self._ask(self.renderer.glb.remote, projection, object_id)
        if glb is None:
            raise RefusedError(404, f"object {object_id!r}: its mesh is not at hand; serve with --dataset")
        return glb

    async def _detect(
        self, projection: Projection, pngs: list[bytes], timings_ms: dict[str, float]
    ) -> tuple[Seen, str]:
        with self.pictures(len(pngs)), self.meters.stage("detect", timings_ms):
            seen, version = await self._ask(self.detector.remote, projection, pngs)
        return seen, version

    async def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Ask a stage; a question whose replica died meanwhile is put once more, to another.

        Raises:
            RefusedError: 503 if that died too, or there is none.
        """
        for _ in range(2):
            try:
                return await call(*arguments)
            except RayActorError:
                continue
            except DeploymentUnavailableError:
                break
        raise self._busy("a stage was lost and is being started again")

    def _busy(self, message: str) -> RefusedError:
        return RefusedError(503, message, {"retry-after": str(self.queues.retry_s)})

    def _sigmas(self, projection: Projection) -> list[float] | None:
        """Return the detector's root mean square error in shares of the width, by view."""
        noise = self.catalogue.noise_xy.get(projection)
        return None if noise is None else [float(np.hypot(x, y)) for x, y in noise]

    def _view_answer(self, row: dict[str, Any], xy: np.ndarray) -> ViewAnswer:
        view, sigmas = row["view"], self._sigmas(row["projection"])
        return ViewAnswer(
            view=view,
            xy=xy.tolist(),
            px=(xy * (row["width"], row["height"])).tolist(),
            side=self.catalogue.manifests[row["projection"]].spec.rig.views[view].near_side,
            sigma_px=None if sigmas is None else row["width"] * sigmas[view],
        )


def _near(rows: Rows, pairs_xy: np.ndarray) -> np.ndarray:
    """Return the positions (n, 2) of the instance that is near in each view."""
    return np.stack([pair[SIDES.index(row["near_side"])] for row, pair in zip(rows, pairs_xy, strict=True)])


def _answer_3d(lifted: Lifted, version: str, views: list[ViewAnswer], timings_ms: dict[str, float]) -> Infer3dAnswer:
    left, right = (
        Landmark.model_validate({"xyz": xyz, "sigma_mm": sigma})
        for xyz, sigma in zip(lifted.pair_mm, lifted.sigma_mm, strict=True)
    )
    return Infer3dAnswer(
        left=left,
        right=right,
        method=lifted.method,
        accepted=lifted.claim and lifted.claim.accepted,
        reason=lifted.claim and lifted.claim.reason,
        model=version,
        views=views,
        timings_ms=timings_ms,
    )
