"""The stages as one: a question in, an answer out. What runs where is Serve's; what follows what stands here."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import FeaturelibError
from featurelib.geometry import SIDES, Projection
from featurelib.meshes import MESH_SUFFIXES
from featurelib.models.requests import Seen
from serve.api.errors import ApiError
from serve.api.images import read_image
from serve.api.limiter import ConcurrencyLimiter
from serve.api.responses import Noise, answer_3d, pair_detection, place, scene_of, spread, view_answers
from serve.api.schemas import (
    ImageRequest,
    Infer3dAnswer,
    Infer3dRequest,
    InferAnswer,
    InferRequest,
    PairDetection,
    UploadRequest,
    ViewAnswer,
)
from serve.batching import BatchDetection, gathered
from serve.deployments import Lifted, RegisteredMesh
from serve.metrics import Meters
from serve.run_index import RunIndex
from serve.settings import AppSettings

READY_SECONDS = 10.0
"""How long /healthz waits for the stages."""

CALLS_A_DETECTOR = 2
"""One whose images are in the network, one whose images are decoded meanwhile."""

Rows = list[dict[str, Any]]


class Orchestrator:
    """Answers by asking the stages; used by one event loop."""

    def __init__(
        self,
        settings: AppSettings,
        detector: DeploymentHandle | None,
        lifter: DeploymentHandle | None,
        renderer: DeploymentHandle,
        meters: Meters,
    ) -> None:
        """Open the run's catalogue; without a run there is neither detector nor lifter."""
        self.catalogue = RunIndex.of(settings.run) if settings.run else RunIndex({}, ())
        self.run, self.dataset = settings.run, _dataset(settings, self.catalogue)
        self.labelled = self.dataset if settings.label else None
        self.limits, self.queues, self.meters = settings.limits, settings.queues, meters
        self.detector, self.lifter, self.renderer = detector, lifter, renderer
        detectors = settings.detector.max_replicas or settings.detector.replicas
        self._batched_detection = gathered(self._ask_detector, CALLS_A_DETECTOR * detectors)
        self.images = self.gate("images", settings.queues.images)
        self.lifts = self.gate("lifts", settings.queues.lifts)
        self.meshes = self.gate("meshes", settings.queues.meshes)

    @property
    def places(self) -> list[str]:
        """Where the run and its datasets lie, which no answer may tell."""
        rendered = [manifest.dataset for manifest in self.catalogue.manifests.values()]
        return sorted({uri for uri in (self.run, *rendered, self.dataset and self.dataset.uri) if uri})

    def gate(self, stage: str, limit: int) -> ConcurrencyLimiter:
        """Return what bounds one thing that is under way."""
        return ConcurrencyLimiter(stage, limit, self.queues.retry_s, self.meters)

    async def check_ready(self) -> None:
        """Return once both networks' stages have answered.

        Raises:
            ApiError: 503 if they have not in READY_SECONDS.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                for stage in filter(None, (self.detector, self.lifter)):
                    await self._ask(stage.ready.remote)
        except TimeoutError:
            raise self._busy("the models are not ready") from None

    def projection(self, asked: Projection | None) -> Projection:
        """Return the projection asked for, else the one whose models erred least.

        Raises:
            ApiError: 404 if the run does not have it, or there is no run.
        """
        known = self.catalogue.manifests
        if not known:
            raise ApiError(404, "this server has no run: it is for labelling only")
        if asked is not None and asked not in known:
            raise ApiError(404, f"projection {asked}: not in this run; it has {', '.join(known)}")
        return asked if asked is not None else next(iter(known))

    async def rows(self, object_id: str, projection: Projection, view: int | None = None) -> Rows:
        """Return the rows of records.SHARD of an object, all views or one.

        Raises:
            ApiError: 404 if there are none.
        """
        rows = await asyncio.to_thread(self.catalogue.views, object_id, projection, view)
        if not rows:
            what = "" if view is None else f" view {view}"
            raise ApiError(404, f"object {object_id!r}{what}: not in this run's {projection} images")
        return rows

    async def find_in_view(self, asked: InferRequest) -> InferAnswer:
        """Find the near landmark in one view of an object."""
        started = perf_counter()
        projection = self.projection(asked.projection)
        rows = await self.rows(asked.object_id, projection, asked.view)
        seen, version = await self._detect(projection, [rows[0]["png"]], {})
        spec, row = self.catalogue.manifests[projection].spec, rows[0]
        size, noise_xy = (row["width"], row["height"]), self._noise_xy(projection)
        return _answer_2d(
            version,
            started,
            spec.rig.views[asked.view].near_side,
            pair_detection(seen, 0, size),
            place(seen.pair_xy[0, SIDES.index(row["near_side"])], size)
            | spread(None if noise_xy is None else noise_xy[asked.view], row["width"]),
        )

    async def find_in_picture(self, content: bytes, asked: ImageRequest) -> InferAnswer:
        """Find the landmark in an uploaded image: the instance that is seen best."""
        started = perf_counter()
        projection = self.projection(asked.projection)
        image = await asyncio.to_thread(read_image, content, self.limits.picture_pixels)
        seen, version = await self._detect(projection, [image.png], {})
        is_told = bool(np.isfinite(seen.visible).all())
        best = int(seen.visible[0].argmax()) if is_told else 0
        there, noise_xy = seen._replace(pair_xy=image.xy(seen.pair_xy)), self._noise_xy(projection)
        return _answer_2d(
            version,
            started,
            SIDES[best] if is_told else None,
            pair_detection(there, 0, image.size),
            place(there.pair_xy[0, best], image.size)
            | spread(None if noise_xy is None else np.sqrt(np.mean(noise_xy**2, axis=0)), image.side),
        )

    async def find_in_object(self, asked: Infer3dRequest) -> Infer3dAnswer:
        """Find both landmarks of an object of the run from all its views."""
        started, timings_ms = perf_counter(), dict[str, float]()
        projection = self.projection(asked.projection)
        with self.meters.stage("read", timings_ms):
            rows = await self.rows(asked.object_id, projection)
        near, centre_mm = [SIDES.index(row["near_side"]) for row in rows], rows[0]["centre_mm"]
        lifter, pngs = _there(self.lifter), [row["png"] for row in rows]
        with self.lifts():
            (seen, version), laid = await asyncio.gather(
                self._detect(projection, pngs, timings_ms),
                self._register(lifter.lay, timings_ms, projection, asked.object_id, asked.method),
            )
            with self.meters.stage("lift", timings_ms):
                if laid is not None:
                    lifted = await self._ask(lifter.on_mesh.remote, projection, laid, seen, asked.method)
                else:
                    xy = seen.pair_xy[np.arange(len(near)), near]
                    lifted = await self._ask(lifter.remote, projection, xy, seen, centre_mm, asked.method)
        views = self._views(projection, centre_mm, seen, lifted._replace(near=near))
        timings_ms["total"] = 1000 * (perf_counter() - started)
        return answer_3d(lifted, version, views, timings_ms)

    async def find_in_mesh(self, content: bytes, filename: str, asked: UploadRequest) -> Infer3dAnswer:
        """Find both landmarks of an uploaded mesh."""
        started, timings_ms = perf_counter(), dict[str, float]()
        projection = self.projection(asked.projection)
        suffix = PurePosixPath(filename).suffix.lower()
        file_type = suffix if suffix in MESH_SUFFIXES else ".ply"
        with self.meshes(), self.meters.stage("render", timings_ms):
            look = await self._ask(self.renderer.look.remote, projection, content, file_type, asked.unit)
        lifter = _there(self.lifter)
        with self.lifts():
            (seen, version), laid = await asyncio.gather(
                self._detect(projection, list(look.pngs), timings_ms),
                self._register(lifter.lay_upload, timings_ms, projection, look.mesh),
            )
            with self.meters.stage("lift", timings_ms):
                lifted = await self._ask(lifter.on_mesh.remote, projection, laid, seen, asked.method)
        views = self._views(projection, look.mesh.centre_mm, seen, lifted)
        spec = self.catalogue.manifests[projection].spec
        scene = await asyncio.to_thread(scene_of, spec, look) if asked.scene else None
        timings_ms["total"] = 1000 * (perf_counter() - started)
        return answer_3d(lifted, version, views, timings_ms, scene)

    async def glb(self, object_id: str) -> bytes:
        """Return an object's mesh as GLB in the object frame.

        Raises:
            ApiError: 404 if there is no such object, or its mesh is not at hand.
        """
        if object_id not in self.catalogue and self.labelled is None:
            raise ApiError(404, f"object {object_id!r}: not in this run")
        with self.meshes():
            glb: bytes | None = await self._ask(self.renderer.glb.remote, object_id)
        if glb is None:
            raise ApiError(404, f"object {object_id!r}: its mesh is not at hand; serve with --dataset")
        return glb

    async def _detect(
        self, projection: Projection, pngs: Sequence[bytes], timings_ms: dict[str, float]
    ) -> BatchDetection:
        with self.images(len(pngs)), self.meters.stage("detect", timings_ms):
            return await self._batched_detection((projection, pngs))

    async def _ask_detector(self, projection: Projection, pngs: Sequence[bytes]) -> BatchDetection:
        sight: BatchDetection = await self._ask(_there(self.detector).remote, projection, pngs)
        return sight

    async def _register(
        self, how: DeploymentHandle, timings_ms: dict[str, float], *arguments: Any
    ) -> RegisteredMesh | None:
        """Lay the mean shape onto a mesh, which needs no network and so goes on beside the detection."""
        with self.meters.stage("lay", timings_ms):
            laid: RegisteredMesh | None = await self._ask(how.remote, *arguments)
        return laid

    async def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Ask a stage; a question whose replica died meanwhile is put once more, to another.

        Raises:
            ApiError: 503 if that died too, or there is none.
        """
        for _ in range(2):
            try:
                return await call(*arguments)
            except RayActorError:
                continue
            except DeploymentUnavailableError:
                break
        raise self._busy("a stage was lost and is being started again")

    def _busy(self, message: str) -> ApiError:
        return ApiError(503, message, {"retry-after": str(self.queues.retry_s)})

    def _noise_xy(self, projection: Projection) -> Noise:
        """Return the detector's root mean square error (v, 2) by view, in shares of the image."""
        noise = self.catalogue.noise_xy.get(projection)
        return None if noise is None else np.array(noise)

    def _views(self, projection: Projection, centre_mm: ArrayLike, seen: Seen, lifted: Lifted) -> list[ViewAnswer]:
        spec = self.catalogue.manifests[projection].spec
        return view_answers(spec, self._noise_xy(projection), np.asarray(centre_mm), seen, lifted)


def _answer_2d(
    version: str, started: float, side: str | None, pair: PairDetection | None, position: dict[str, Any]
) -> InferAnswer:
    fields = {"side": side, "pair": pair, "model": version, "ms": 1000 * (perf_counter() - started)}
    return InferAnswer.model_validate(fields | position)


def _there(stage: DeploymentHandle | None) -> DeploymentHandle:
    """Return a stage that every server with a run has; whoever asks it has found a projection of the run."""
    assert stage is not None
    return stage


def _dataset(settings: AppSettings, catalogue: RunIndex) -> Dataset | None:
    """Return the dataset that labels are saved to and that names the landmark; None where it is not at hand."""
    uris = [settings.dataset] if settings.dataset else [m.dataset for m in catalogue.manifests.values()]
    try:
        return open_dataset(uris[0], labelled=False)
    except FeaturelibError:
        return None
