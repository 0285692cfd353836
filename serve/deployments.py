"""The stages of the graph: a renderer of uploads, a detector, a lifter."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from ray import serve

from featurelib.datasets.dataset import Dataset, MeshFile, open_dataset
from featurelib.datasets.shards.sandboxed import GlbJob, PreparedMesh, UploadJob, as_glb, prepare_upload
from featurelib.errors import DataError, FeaturelibError, UsageError
from featurelib.geometry import Projection
from featurelib.meshes import Limits, Mesh
from featurelib.meshes.template import LocatedPair
from featurelib.models.requests import REFINED, Seen
from featurelib.models.uncertainty.model import Uncertainty
from featurelib.models.versions import ModelVersions
from featurelib.runtime.sandbox import OverLimitError, ProcessLostError, SandboxedProcess, SandboxLimits
from featurelib.runtime.threads import limit_threads
from serve.batching import BatchDetection
from serve.run_index import manifests_of
from serve.settings import LimitSettings

if TYPE_CHECKING:
    from featurelib.models.predictor import Predictor

LOOKING = (REFINED, "template")
"""Methods that need the object's mesh."""


Item = TypeVar("Item")
Result = TypeVar("Result")


@serve.deployment
class DetectorStage:
    """Finds the landmark in images. One network a projection, warm before the first request."""

    def __init__(self, run: str, version: str = "") -> None:
        """Load the detectors of a run; `version` only tells Serve when they are others."""
        limit_threads(os.cpu_count() or 1)
        from featurelib.datasets.shards import encode_png
        from featurelib.models.detector.model import Detector

        manifests = manifests_of(run)
        self.detectors = {projection: Detector.load(run, projection) for projection in manifests}
        blank = encode_png(np.full((64, 64), 255, np.uint8))
        for projection, detector in self.detectors.items():
            detector([blank] * len(manifests[projection].spec.rig))
            detector([blank])

    def ready(self) -> bool:
        """Say that the networks are warm; nobody can ask before."""
        return True

    async def __call__(self, projection: Projection, pngs: Sequence[bytes]) -> BatchDetection:
        """Return what is seen of left and right in n PNGs and the network's version.

        Calls go on side by side: while one's images are decoded, another's are in the network.
        """
        detector = self.detectors[projection]
        sighting = await asyncio.to_thread(detector, pngs)
        return Seen(sighting.xy, sighting.visible), detector.version


class Lifted(NamedTuple):
    """Both landmarks: pair_mm (2, 3), object frame, and sigma_mm of each, None where the method's error is not known.

    claim: of the run's own choice of method; None for a method that was asked for.
    covariance_mm2: (2, 3, 3) of both errors, with the mean variances sigma_mm^2; None where only those are known.
    near: which of SIDES an estimate has nearer in each view; None of a fusion, which was told.
    versions: hashes of the lifter and the refiner, where the run has them.
    """

    pair_mm: list[list[float]]
    method: str
    sigma_mm: tuple[float | None, float | None]
    uncertainty: Uncertainty | None = None
    covariance_mm2: list[list[list[float]]] | None = None
    near: list[int] | None = None
    versions: Mapping[str, str] = {}


class RegisteredMesh(NamedTuple):
    """A mesh in the object frame, and where the mean shape that is registered to it has the landmarks."""

    mesh: Mesh
    located: LocatedPair


@serve.deployment
class LifterStage:
    """Turns what is seen in all views into both landmarks in mm, and looks again from near."""

    def __init__(self, run: str, dataset: str | None = None, version: str = "") -> None:
        """Load what comes after the detectors of a run; `version` only tells Serve when it is other."""
        limit_threads(os.cpu_count() or 1)
        from featurelib.models.lifter.files import is_trained
        from featurelib.models.lifter.model import Lifter
        from featurelib.models.predictor import Predictor

        manifests = manifests_of(run)
        self.predictors = {p: Predictor.load(run, p, m.spec) for p, m in manifests.items() if is_trained(run, p)}
        self.lifters = {
            p: self.predictors[p].lifter if p in self.predictors else Lifter.load(run, p, m.spec)
            for p, m in manifests.items()
        }
        self.versions = {p: _versions(run, p) if p in self.predictors else {} for p in manifests}
        self.datasets = {p: _meshes(dataset or m.dataset) for p, m in manifests.items()}
        for projection, lifter in self.lifters.items():
            middle = np.full((len(manifests[projection].spec.rig), 2, 2), 0.5)
            lifter(middle[:, 0], np.zeros(3), pair_xy=middle)
        for predictor in self.predictors.values():
            _warm(predictor)

    def ready(self) -> bool:
        """Say that the networks are warm; nobody can ask before."""
        return True

    async def lay(self, projection: Projection, object_id: str, method: str | None) -> RegisteredMesh | None:
        """Return an object's mesh with the mean shape registered to it; None if a method does without the mesh.

        The run's own choice looks at the mesh, if the dataset is where the rendering found it.

        Raises:
            DataError: if the method needs the mesh and that cannot be read.
        """
        predictor, (dataset, files) = self.predictors.get(projection), self.datasets[projection]
        if predictor is None or not (method in LOOKING or (method is None and object_id in files)):
            return None
        if dataset is None or object_id not in files:
            raise DataError(f"method {method}: needs the object's mesh, which is not with the dataset")
        return await asyncio.to_thread(lambda: _register(predictor, dataset.load(files[object_id])))

    async def lay_upload(self, projection: Projection, mesh: Mesh) -> RegisteredMesh:
        """Return a mesh that is no object of the run with the mean shape registered to it.

        Raises:
            DataError: if the run has no lifter.
        """
        if projection not in self.predictors:
            raise DataError(f"mesh: this run has no {projection} lifter, without which no uploads are answered")
        return await asyncio.to_thread(_register, self.predictors[projection], mesh)

    async def __call__(
        self, projection: Projection, xy: np.ndarray, seen: Seen, centre_mm: list[float], method: str | None
    ) -> Lifted:
        """Return the landmarks by a fusion, or by the chosen one; xy (v, 2) are the near instance's positions.

        Raises:
            UsageError: if the method is unknown.
        """
        lifter = self.lifters[projection]
        method = method or lifter.chosen
        pair_mm = await asyncio.to_thread(lifter, xy, np.array(centre_mm), method, seen.pair_xy)
        sigma_mm = lifter.sigma_mm.get(method)
        return Lifted(pair_mm.tolist(), method, (sigma_mm, sigma_mm), versions=self.versions[projection])

    async def on_mesh(self, projection: Projection, laid: RegisteredMesh, seen: Seen, method: str | None) -> Lifted:
        """Return the landmarks by any method, or by the run's own choice, and which side is near in each view.

        Raises:
            UsageError: if the method is unknown.
        """
        lifted = await asyncio.to_thread(_on_mesh, self.predictors[projection], laid, seen, method)
        return lifted._replace(versions=self.versions[projection])


def _versions(run: str, projection: Projection) -> dict[str, str]:
    """Return the hashes of what comes after the detector."""
    versions = ModelVersions.of(run, projection).to_dict()
    return {stage: version for stage, version in versions.items() if version and stage != "detector"}


def _register(predictor: "Predictor", mesh: Mesh) -> RegisteredMesh:
    return RegisteredMesh(mesh, predictor.locate(mesh))


def _on_mesh(predictor: "Predictor", laid: RegisteredMesh, seen: Seen, method: str | None) -> Lifted:
    from featurelib.models.predictor import near_indices

    lifter = predictor.lifter
    if method is None or method in LOOKING:
        lifted = _looked(predictor, laid, seen, method)
        return lifted._replace(near=near_indices(lifter.spec, laid.mesh, np.array(lifted.pair_mm)))
    near = near_indices(lifter.spec, laid.mesh, laid.located.pair_mm)
    pair_mm = lifter(seen.pair_xy[np.arange(len(near)), near], laid.mesh.centre_mm, method, seen.pair_xy)
    sigma_mm = lifter.sigma_mm.get(method)
    return Lifted(pair_mm.tolist(), method, (sigma_mm, sigma_mm), near=near)


def _looked(predictor: "Predictor", laid: RegisteredMesh, seen: Seen, method: str | None) -> Lifted:
    """Return what a predictor makes of a mesh: its own choice, or one of the methods LOOKING."""
    answer = predictor(laid.mesh, seen, laid.located)
    if method is None or method == answer.method:
        left, right = answer.uncertainty.sigma_mm.tolist()
        covariance_mm2 = answer.uncertainty.covariance_mm2.tolist()
        return Lifted(answer.pair_mm.tolist(), answer.method, (left, right), answer.uncertainty, covariance_mm2)
    if method not in answer.pairs_mm:
        raise UsageError(f"method {method!r}: this run has no refiner; expected one of {', '.join(answer.pairs_mm)}")
    return Lifted(answer.pairs_mm[method].tolist(), method, (None, None))


def _warm(predictor: "Predictor") -> None:
    """Let a predictor look at a ball, so that no request waits for its graphs to be traced."""
    from trimesh.creation import icosphere

    assert predictor.lifter.template is not None  # a predictor has one
    ball = icosphere(subdivisions=4, radius=float(np.abs(predictor.lifter.template.points_mm).max()))
    seen = Seen(np.full((len(predictor.lifter.spec.rig), 2, 2), 0.5), np.full((len(predictor.lifter.spec.rig), 2), 0.5))
    with contextlib.suppress(FeaturelibError):  # a ball need not have an answer
        predictor(Mesh.smooth(ball.vertices, ball.faces), seen)


def _meshes(uri: str) -> tuple[Dataset | None, dict[str, MeshFile]]:
    """Return a dataset and its mesh files by object; none where it is not where it was."""
    try:
        dataset = open_dataset(uri, labelled=False)
    except FeaturelibError:
        return None, {}
    return dataset, dataset.files


@serve.deployment
class RendererStage:
    """Reads and renders meshes in a child process, one after the other: a replica of its own for each at a time."""

    def __init__(self, run: str | None, dataset: str | None, limits: LimitSettings, version: str = "") -> None:
        """Start the child; `version` only tells Serve when the run is another."""
        manifests = manifests_of(run) if run else {}
        self.specs = {projection: manifest.spec for projection, manifest in manifests.items()}
        uris = dict.fromkeys([dataset] if dataset else [manifest.dataset for manifest in manifests.values()])
        self.datasets = [_meshes(uri) for uri in uris]
        self.mesh_limits = Limits(
            max_file_bytes=limits.body_mb * 2**20,
            max_faces=limits.mesh_faces,
            max_texture_pixels=limits.texture_pixels,
        )
        child = SandboxLimits(seconds=limits.mesh_seconds, memory_mb=limits.mesh_memory_mb, recycle_after=200)
        self.child = SandboxedProcess(child, preload=["featurelib.datasets.shards.warm"])
        self.child(abs, -1)  # starts the fork server, which takes seconds

    async def look(self, projection: Projection, content: bytes, file_type: str, unit: str | None) -> PreparedMesh:
        """Return a mesh file's mesh in the object frame and the images of it.

        Raises:
            DataError: if it cannot be read or rendered within the limits.
        """
        spec = self.specs[projection]
        job = UploadJob(content, file_type, replace(spec, unit=unit or spec.unit), self.mesh_limits)
        look = await asyncio.to_thread(self._in_child, prepare_upload, job)
        if isinstance(look, str):
            raise DataError(look)
        return look

    async def glb(self, object_id: str) -> bytes | None:
        """Return the mesh of an object as GLB, in the object frame; None if it is not at hand.

        Raises:
            DataError: if it cannot be read.
        """
        found = ((dataset, files) for dataset, files in self.datasets if object_id in files)
        dataset, files = next(found, (None, {}))
        if dataset is None:
            return None
        file = files[object_id]
        job = GlbJob(dataset.mesh_uri(file.name), dataset.object_from_source_of(file.rotation_wxyz))
        return await asyncio.to_thread(self._in_child, as_glb, job)

    def _in_child(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Do a piece of work in the child; how a lost one ended is not the client's business, since it names files."""
        try:
            return self.child(work, item)
        except OverLimitError as error:
            raise DataError(f"mesh: {error}") from None
        except ProcessLostError:
            raise DataError("mesh: the process that read it died of it, twice") from None
