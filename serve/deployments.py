"""The deployments behind the ingress: detector, lifter and renderer."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import ray
from ray import serve

from featurelib.datasets.dataset import Dataset, MeshFile, open_dataset
from featurelib.datasets.shards import encode_png
from featurelib.datasets.shards.sandboxed import GlbJob, PreparedMesh, UploadJob, as_glb, prepare_mesh
from featurelib.errors import DataError, FeaturelibError
from featurelib.geometry import Projection
from featurelib.meshes import Limits
from featurelib.models.detector.model import Detector
from featurelib.models.inference import Device
from featurelib.models.lifter.files import is_trained as has_lifter
from featurelib.models.lifter.files import read_template
from featurelib.models.lifter.model import Lifter
from featurelib.models.predictions import Detection
from featurelib.models.predictor import Predictor
from featurelib.models.versions import ModelVersions
from featurelib.runtime.sandbox import OverLimitError, ProcessLostError, SandboxedProcess, SandboxLimits
from serve.batching import BatchDetection
from serve.lifting import (
    MESH_METHODS,
    Lifted,
    RegisteredMesh,
    lift_mesh,
    lift_views,
    warm_lifter,
    warm_predictor,
)
from serve.run_index import manifests_of
from serve.settings import LimitSettings

Item = TypeVar("Item")
Result = TypeVar("Result")


@serve.deployment
class DetectorStage:
    """Runs the detector on images. One network per projection, warm before the first request."""

    def __init__(self, run: str, version: str = "") -> None:
        """Load the detectors of a run; a new `version` makes Serve replace the replicas."""
        manifests = manifests_of(run)
        self.detectors = {projection: Detector.load(run, projection, _device()) for projection in manifests}
        blank = encode_png(np.full((64, 64), 255, np.uint8))
        for projection, detector in self.detectors.items():
            detector([blank] * len(manifests[projection].spec.rig))
            detector([blank])

    def ready(self) -> bool:
        """Return true; a replica takes no calls before its networks are warm."""
        return True

    async def __call__(self, projection: Projection, pngs: Sequence[bytes]) -> BatchDetection:
        """Return the detection in n PNGs and the network's version.

        Calls overlap: while the images of one are decoded, those of another are in the network.
        """
        detector = self.detectors[projection]
        found = await asyncio.to_thread(detector, pngs)
        return Detection(found.xy, found.visible), detector.version


@serve.deployment
class LifterStage:
    """Turns the detections in all views into landmarks in mm, and refines them."""

    def __init__(self, run: str, dataset: str | None = None, version: str = "") -> None:
        """Load a run's models after the detectors; a new `version` makes Serve replace the replicas."""
        device, manifests = _device(), manifests_of(run)
        self.predictors = {
            p: Predictor.load(run, p, m.spec, m.landmarks, device) for p, m in manifests.items() if has_lifter(run, p)
        }
        self.lifters = {
            p: self.predictors[p].lifter if p in self.predictors else Lifter.load(run, p, m.spec, m.landmarks)
            for p, m in manifests.items()
        }
        self.versions = {p: _versions(run, p) if p in self.predictors else {} for p in manifests}
        self.datasets = {p: _meshes(dataset or m.dataset) for p, m in manifests.items()}
        for lifter in self.lifters.values():
            warm_lifter(lifter)
        for predictor in self.predictors.values():
            warm_predictor(predictor)

    def ready(self) -> bool:
        """Return true; a replica takes no calls before its networks are warm."""
        return True

    async def register(self, projection: Projection, object_id: str, method: str | None) -> RegisteredMesh | None:
        """Return an object's mesh with the mean shape registered to it; None if the method needs no mesh.

        The run's own choice uses the mesh if the dataset has it.

        Raises:
            DataError: if the method needs the mesh and it cannot be read.
        """
        predictor, (dataset, files) = self.predictors.get(projection), self.datasets[projection]
        if predictor is None or not (method in MESH_METHODS or (method is None and object_id in files)):
            return None
        if dataset is None or object_id not in files:
            raise DataError(f"method {method}: needs the object's mesh, which the dataset does not have")

        def register() -> RegisteredMesh:
            mesh = dataset.load(files[object_id])
            return RegisteredMesh(mesh, predictor.locate(mesh))

        return await asyncio.to_thread(register)

    async def __call__(
        self, projection: Projection, near: np.ndarray, detection: Detection, centre_mm: list[float], method: str | None
    ) -> Lifted:
        """Return the landmarks by a method that needs no mesh; near (v, s) is the nearer landmark of each slot.

        Raises:
            UsageError: if the method is unknown.
        """
        lifted = await asyncio.to_thread(lift_views, self.lifters[projection], near, detection, centre_mm, method)
        return lifted._replace(versions=self.versions[projection])

    async def on_mesh(
        self, projection: Projection, registered: RegisteredMesh, detection: Detection, method: str | None
    ) -> Lifted:
        """Return the landmarks by any method, by default the run's own choice.

        Raises:
            UsageError: if the method is unknown.
        """
        lifted = await asyncio.to_thread(lift_mesh, self.predictors[projection], registered, detection, method)
        return lifted._replace(versions=self.versions[projection])


@serve.deployment
class RendererStage:
    """Prepares meshes in a sandboxed process, one at a time per replica."""

    def __init__(self, run: str | None, dataset: str | None, limits: LimitSettings, version: str = "") -> None:
        """Start the process; a new `version` makes Serve replace the replicas."""
        manifests = manifests_of(run) if run else {}
        self.specs = {projection: manifest.spec for projection, manifest in manifests.items()}
        self.templates = {p: read_template(run, p) for p in manifests if run and has_lifter(run, p)}
        uris = dict.fromkeys([dataset] if dataset else [manifest.dataset for manifest in manifests.values()])
        self.datasets = [_meshes(uri) for uri in uris]
        self.mesh_limits = Limits(
            max_file_bytes=limits.body_mb * 2**20,
            max_faces=limits.mesh_faces,
            max_texture_pixels=limits.texture_pixels,
        )
        sandbox = SandboxLimits(seconds=limits.mesh_seconds, memory_mb=limits.mesh_memory_mb, recycle_after=200)
        self.process = SandboxedProcess(sandbox, preload=["featurelib.datasets.shards.warm"])
        self.process(abs, -1)  # starts the fork server, which takes seconds

    async def prepare(self, projection: Projection, content: bytes, file_type: str, unit: str | None) -> PreparedMesh:
        """Return an uploaded mesh file's mesh, the images of it and the landmarks of the registered mean shape.

        Raises:
            DataError: if the run has no lifter, or the file cannot be read or rendered within the limits.
        """
        if projection not in self.templates:
            raise DataError(f"mesh: this run has no {projection} lifter, which uploads need")
        spec = replace(self.specs[projection], unit=unit or self.specs[projection].unit)
        job = UploadJob(content, file_type, spec, self.templates[projection], self.mesh_limits)
        prepared = await asyncio.to_thread(self._sandboxed, prepare_mesh, job)
        if isinstance(prepared, str):
            raise DataError(prepared)
        return prepared

    async def glb(self, object_id: str) -> bytes | None:
        """Return the mesh of an object as GLB, in the object frame; None if no dataset has it.

        Raises:
            DataError: if it cannot be read.
        """
        found = ((dataset, files) for dataset, files in self.datasets if object_id in files)
        dataset, files = next(found, (None, {}))
        if dataset is None:
            return None
        file = files[object_id]
        job = GlbJob(dataset.mesh_uri(file.name), dataset.object_from_source_of(file.rotation_wxyz))
        return await asyncio.to_thread(self._sandboxed, as_glb, job)

    def _sandboxed(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Work in the process; the client does not learn how a lost one ended, because that names files."""
        try:
            return self.process(work, item)
        except OverLimitError as error:
            raise DataError(f"mesh: {error}") from None
        except ProcessLostError:
            raise DataError("mesh: the process that read it died, twice") from None


def _device() -> Device:
    """Return what runs the networks of this replica: the GPU that Ray assigned to it, or all CPUs of its node."""
    return Device(os.cpu_count() or 1, bool(ray.get_gpu_ids()))


def _versions(run: str, projection: str) -> dict[str, str]:
    """Return the hashes of the models after the detector."""
    versions = ModelVersions.of(run, projection).to_dict()
    return {stage: version for stage, version in versions.items() if version and stage != "detector"}


def _meshes(uri: str) -> tuple[Dataset | None, dict[str, MeshFile]]:
    """Return a dataset and its mesh files by object; none if it cannot be opened."""
    try:
        dataset = open_dataset(uri, labelled=False)
    except FeaturelibError:
        return None, {}
    return dataset, dataset.files
