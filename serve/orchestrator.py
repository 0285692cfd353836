"""The order in which a request passes the deployments. Ray Serve decides where each of them runs."""

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import FeaturelibError
from featurelib.geometry import SIDES, LandmarkSet, Projection
from featurelib.meshes import MESH_SUFFIXES
from featurelib.meshes.file_names import split_mesh_name
from featurelib.models.predictions import Detection
from serve.api.errors import ApiError
from serve.api.images import read_image
from serve.api.landmark_fields import FoundInImage
from serve.api.limiter import ConcurrencyLimiter
from serve.api.requests import ImageOptions, Infer3dRequest, InferRequest, MeshOptions
from serve.api.responses import infer_3d_response, infer_response, scene_of, view_fields
from serve.api.schemas import Infer3dResponse, InferResponse
from serve.batching import BatchDetection, batched_detector
from serve.lifting import Lifted, RegisteredMesh
from serve.metrics import Meters
from serve.run_index import RunIndex, refuse_other_set
from serve.settings import AppSettings

READY_SECONDS = 10.0
"""How long /healthz waits for the deployments."""

CALLS_PER_DETECTOR = 2
"""The images of one call are in the network while those of the other are decoded."""


class Orchestrator:
    """Handles requests by calling the deployments; for one event loop."""

    def __init__(
        self,
        settings: AppSettings,
        detector: DeploymentHandle | None,
        lifter: DeploymentHandle | None,
        renderer: DeploymentHandle,
        meters: Meters,
    ) -> None:
        """Open the run's index; without a run there is neither detector nor lifter."""
        self.index = RunIndex.of(settings.run) if settings.run else RunIndex({}, ())
        self.run, self.dataset = settings.run, _dataset(settings, self.index)
        self.labelled = self.dataset if settings.label else None
        self.limits, self.queues, self.meters = settings.limits, settings.queues, meters
        self.detector, self.lifter, self.renderer = detector, lifter, renderer
        detectors = settings.detector.max_replicas or settings.detector.replicas
        self._batched_detector = batched_detector(self._call_detector, CALLS_PER_DETECTOR * detectors)
        self.images = self.limiter("images", settings.queues.images)
        self.lifts = self.limiter("lifts", settings.queues.lifts)
        self.meshes = self.limiter("meshes", settings.queues.meshes)

    @cached_property
    def landmarks(self) -> LandmarkSet:
        """The landmark set; outlines and definitions are those of the dataset, which may be newer than the run's."""
        if self.dataset is not None:
            return self.dataset.landmarks
        return next(iter(self.index.manifests.values())).landmarks

    @property
    def private_uris(self) -> list[str]:
        """The locations of the run and its datasets, which no response may contain."""
        rendered = [manifest.dataset for manifest in self.index.manifests.values()]
        return sorted({uri for uri in (self.run, *rendered, self.dataset and self.dataset.uri) if uri})

    def limiter(self, stage: str, limit: int) -> ConcurrencyLimiter:
        """Return a limiter of the concurrent work in one stage."""
        return ConcurrencyLimiter(stage, limit, self.queues.retry_s, self.meters)

    async def check_ready(self) -> None:
        """Return once detector and lifter have responded.

        Raises:
            ApiError: 503 if they have not in READY_SECONDS.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                for stage in filter(None, (self.detector, self.lifter)):
                    await self._call(stage.ready.remote)
        except TimeoutError:
            raise self._busy("the models are not ready") from None

    async def detect_in_view(self, request: InferRequest) -> InferResponse:
        """Detect all landmarks in one view of an object."""
        started = perf_counter()
        projection = self.index.projection(request.projection)
        row = (await self.index.rows(request.object_id, projection, request.view))[0]
        (xys, visible), version = await self._detect(projection, [row["png"]], {})
        landmarks, noise_xy = self.index.landmarks(projection), self.index.noise(projection)
        sigma_xy, size = None if noise_xy is None else noise_xy[:, request.view], (row["width"], row["height"])
        near = self.index.near(projection, row)
        found = FoundInImage(landmarks, xys[0], visible[0], near, sigma_xy, size, row["width"])
        return infer_response(version, started, self.index.spec(projection).rig.views[request.view].near_side, found)

    async def detect_in_image(self, content: bytes, options: ImageOptions) -> InferResponse:
        """Detect all landmarks in an uploaded image; the more visible one of a pair counts as the nearer."""
        started = perf_counter()
        projection = self.index.projection(options.projection)
        image = await asyncio.to_thread(read_image, content, self.limits.image_pixels)
        (xys, visible), version = await self._detect(projection, [image.png], {})
        landmarks, noise_xy = self.index.landmarks(projection), self.index.noise(projection)
        near = more_visible(landmarks, visible[0])
        sigma_xy = None if noise_xy is None else np.sqrt(np.mean(noise_xy**2, axis=1))
        found = FoundInImage(landmarks, image.xy(xys[0]), visible[0], near, sigma_xy, image.size, image.side)
        return infer_response(version, started, SIDES[near[0]] if found.has_sides else None, found)

    async def predict_object(self, request: Infer3dRequest) -> Infer3dResponse:
        """Predict all landmarks of an object of the run from all its views."""
        started, timings_ms = perf_counter(), dict[str, float]()
        projection = self.index.projection(request.projection)
        with self.meters.stage("read", timings_ms):
            rows = await self.index.rows(request.object_id, projection)
        near, centre_mm = np.stack([self.index.near(projection, row) for row in rows]), rows[0]["centre_mm"]
        lifter, pngs = _required(self.lifter), [row["png"] for row in rows]
        with self.lifts():
            (detection, version), registered = await asyncio.gather(
                self._detect(projection, pngs, timings_ms),
                self._register(projection, request.object_id, request.method, timings_ms),
            )
            with self.meters.stage("lift", timings_ms):
                if registered is not None:
                    lifted = await self._call(lifter.on_mesh.remote, projection, registered, detection, request.method)
                else:
                    lifted = await self._call(lifter.remote, projection, near, detection, centre_mm, request.method)
        views = self._views(projection, np.asarray(centre_mm), detection, lifted._replace(near=near))
        timings_ms["total"] = 1000 * (perf_counter() - started)
        return infer_3d_response(lifted, self.index.landmarks(projection), version, views, timings_ms)

    async def predict_upload(self, content: bytes, filename: str, options: MeshOptions) -> Infer3dResponse:
        """Predict all landmarks of an uploaded mesh."""
        started, timings_ms = perf_counter(), dict[str, float]()
        projection = self.index.projection(options.projection)
        _, suffix = split_mesh_name(filename)
        file_type = suffix if suffix in MESH_SUFFIXES else ".ply"
        with self.meshes(), self.meters.stage("prepare", timings_ms):
            prepared = await self._call(self.renderer.prepare.remote, projection, content, file_type, options.unit)
        lifter, registered = _required(self.lifter), RegisteredMesh(prepared.mesh, prepared.located)
        with self.lifts():
            detection, version = await self._detect(projection, list(prepared.pngs), timings_ms)
            with self.meters.stage("lift", timings_ms):
                lifted = await self._call(lifter.on_mesh.remote, projection, registered, detection, options.method)
        views = self._views(projection, prepared.mesh.centre_mm, detection, lifted)
        scene = None
        if options.scene:
            scene = await asyncio.to_thread(scene_of, self.index.spec(projection), prepared)
        timings_ms["total"] = 1000 * (perf_counter() - started)
        return infer_3d_response(lifted, self.index.landmarks(projection), version, views, timings_ms, scene)

    async def glb(self, object_id: str) -> bytes:
        """Return an object's mesh as GLB in the object frame.

        Raises:
            ApiError: 404 if there is no such object, or no dataset has its mesh.
        """
        if object_id not in self.index and self.labelled is None:
            raise ApiError(404, f"object {object_id!r}: not in this run")
        with self.meshes():
            glb: bytes | None = await self._call(self.renderer.glb.remote, object_id)
        if glb is None:
            raise ApiError(404, f"object {object_id!r}: its mesh is missing; serve with --dataset")
        return glb

    def _views(
        self, projection: Projection, centre_mm: NDArray[np.float64], detection: Detection, lifted: Lifted
    ) -> list[dict[str, Any]]:
        """Return the fields of each view of a response."""
        index = self.index
        of = index.spec(projection), index.landmarks(projection), index.noise(projection)
        return view_fields(*of, centre_mm, detection, lifted)

    async def _detect(
        self, projection: Projection, pngs: Sequence[bytes], timings_ms: dict[str, float]
    ) -> BatchDetection:
        with self.images(len(pngs)), self.meters.stage("detect", timings_ms):
            return await self._batched_detector((projection, pngs))

    async def _call_detector(self, projection: Projection, pngs: Sequence[bytes]) -> BatchDetection:
        found: BatchDetection = await self._call(_required(self.detector).remote, projection, pngs)
        return found

    async def _register(
        self, projection: Projection, object_id: str, method: str | None, timings_ms: dict[str, float]
    ) -> RegisteredMesh | None:
        """Register the mean shape to an object's mesh; this needs no network, so it runs during the detection."""
        with self.meters.stage("register", timings_ms):
            call = _required(self.lifter).register.remote
            registered: RegisteredMesh | None = await self._call(call, projection, object_id, method)
        return registered

    async def _call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call a deployment; if the replica dies meanwhile, call another once.

        Raises:
            ApiError: 503 if that one died too, or there is none.
        """
        for _ in range(2):
            try:
                return await call(*arguments)
            except RayActorError:
                continue
            except DeploymentUnavailableError:
                break
        raise self._busy("a deployment was lost and is restarting")

    def _busy(self, message: str) -> ApiError:
        return ApiError(503, message, {"retry-after": str(self.queues.retry_s)})


def _required(stage: DeploymentHandle | None) -> DeploymentHandle:
    """Return a deployment that each server with a run has; the caller has checked that there is a run."""
    assert stage is not None
    return stage


def more_visible(landmarks: LandmarkSet, visible: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the more visible one of each slot (s,), 0 or 1, from probabilities (k,); -1 if they are not known."""
    of_slots = visible[landmarks.slots]
    return np.where(np.isnan(of_slots).any(axis=1), -1, of_slots.argmax(axis=1))


def _dataset(settings: AppSettings, index: RunIndex) -> Dataset | None:
    """Return the dataset whose labels are saved and that describes the landmarks; None if it cannot be opened.

    Raises:
        DataError: if its landmark set is not the run's.
    """
    uris = [settings.dataset] if settings.dataset else [m.dataset for m in index.manifests.values()]
    try:
        dataset = open_dataset(uris[0], labelled=False)
    except FeaturelibError:
        return None
    for manifest in index.manifests.values():
        refuse_other_set(manifest, dataset.landmarks, dataset.uri)
    return dataset
