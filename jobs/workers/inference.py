"""A run's methods applied to many objects on the cluster: to vectors alone, to meshes, or the whole predictor."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.datasets.shards import Manifest, RenderSpec
from featurelib.errors import DataError, FeaturelibError
from featurelib.geometry import LandmarkSet
from featurelib.meshes.template import LocatedLandmarks, Template, locate
from featurelib.models.fusion import Surface, ViewNoise
from featurelib.models.lifter.fusing import surface_landmarks
from featurelib.models.lifter.model import Lifter
from featurelib.models.lifter.vectors import Vectors
from featurelib.models.predictions import Detection, Prediction
from featurelib.models.predictor import Predictor
from featurelib.runtime.progress import Progress
from jobs.workers import cluster

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

VALIDATION_OBJECTS = 200
"""Most objects whose meshes are used for validation, evenly spread over the ids. With 65, nine views and five differed
by 0.01 mm."""

OBJECTS_PER_TASK = 8
"""A process loads the networks once, which takes as long as 50 objects do."""


def mesh_files(dataset: Dataset, object_ids: Iterable[str]) -> list[MeshFile]:
    """Return the mesh files of objects, in their order; for a missing one, a name that no file has.

    Raises:
        DataError: if the dataset does not know an object.
    """
    files, known = dataset.files, {*dataset.objects["object_id"].to_pylist()}
    unknown = [object_id for object_id in object_ids if object_id not in known]
    if unknown:
        raise DataError(f"{dataset.uri}: no object {unknown[0]!r}, which the run has ({len(unknown)} such)")
    return [files.get(object_id) or MeshFile(str(object_id)) for object_id in object_ids]


def without_objects(dataset: Dataset) -> Dataset:
    """Return the dataset with an empty table, which is enough for a task to load meshes."""
    return Dataset(dataset.uri, dataset.unit, dataset.landmarks, dataset.alignment, dataset.objects.slice(0, 0))


@ray.remote(num_cpus=1)
def lifter_landmarks(
    run: str, manifest: Manifest, vectors: Vectors, all_methods: bool
) -> dict[str, NDArray[np.float64]]:
    """Return the landmarks (n, k, 3) in mm by the chosen method, or with `all_methods` by each method."""
    lifter = Lifter.load(run, manifest.spec.projection, manifest.spec, manifest.landmarks)
    if not all_methods:
        return {lifter.chosen: lifter.estimates_mm(vectors, lifter.chosen)}
    estimates_mm = {method: lifter.estimates_mm(vectors, method) for method in lifter.methods}
    return {**estimates_mm, "mean_point": np.asarray(lifter.mean_mm) + vectors.centre_mm[:, None]}


class MeshPrediction(NamedTuple):
    """A predictor's result on an object, and landmarks (k, 3) in mm by the fusions that use the surface."""

    prediction: Prediction
    fused_mm: Mapping[str, NDArray[np.float64]]


class OnMesh(NamedTuple):
    """Results that need an object's mesh: the registered mean shape, and landmarks (k, 3) in mm by surface fusions."""

    located: LocatedLandmarks
    estimates_mm: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class MeshMethods:
    """The methods that need a mesh. view_noise: of the surface fusions; empty leaves them out."""

    template: Template
    spec: RenderSpec
    landmarks: LandmarkSet
    view_noise: Mapping[bool, Sequence[ViewNoise]]


def on_meshes(
    task: str, dataset: Dataset, methods: MeshMethods, meshes: Sequence[MeshFile], vectors: Vectors
) -> list[OnMesh | None]:
    """Return the results that need the meshes of n objects; None for a damaged mesh."""
    small, shared = ray.put(without_objects(dataset)), ray.put(methods)
    progress = Progress(f"{task}: mean shape", len(meshes), "objects")

    def submit(i: int) -> ray.ObjectRef:
        return on_mesh.remote(small, shared, meshes[i], vectors.landmarks_xy[i], vectors.visible[i])

    found = cluster.run_in_order(submit, range(len(meshes)), lambda _: 1, progress)
    return _without_reasons(f"{task}: mean shape", found)


@ray.remote(num_cpus=1)
def on_mesh(
    dataset: Dataset,
    methods: MeshMethods,
    file: MeshFile,
    landmarks_xy: NDArray[np.floating],
    visible: NDArray[np.floating],
) -> OnMesh | str:
    """Return the results that need one mesh, or why it cannot be loaded."""
    try:
        mesh = dataset.load(file)
    except DataError as error:
        return str(error)
    surface = Surface(mesh.vertices_mm, mesh.faces)
    located = locate(methods.template, mesh.vertices_mm, mesh.faces)
    estimates_mm = surface_landmarks(
        surface, landmarks_xy, visible, mesh.centre_mm, methods.spec, methods.landmarks, methods.view_noise
    )
    return OnMesh(located, estimates_mm)


@dataclass(frozen=True)
class PredictorKey:
    """Identifies a predictor for the cache of a worker; version: changes with any of the predictor's files."""

    run: str
    spec: RenderSpec
    landmarks: LandmarkSet
    version: str


def predict_all(
    task: str, dataset: Dataset, key: PredictorKey, meshes: Sequence[MeshFile], vectors: Vectors
) -> list[MeshPrediction | None]:
    """Return a run's predictions for n objects; None for an object without one.

    Args:
        task: for lines of progress.
        dataset: with the meshes.
        key: of the predictor.
        meshes: (n,) their files.
        vectors: of the same objects.
    """
    small, landmarks_xy = ray.put(without_objects(dataset)), vectors.seen_xy
    progress = Progress(f"{task}: crops", len(meshes), "objects")
    parts = [range(i, min(i + OBJECTS_PER_TASK, len(meshes))) for i in range(0, len(meshes), OBJECTS_PER_TASK)]

    def submit(part: range) -> ray.ObjectRef:
        files, chosen = [meshes[i] for i in part], list(part)
        return predict_meshes.remote(small, key, files, landmarks_xy[chosen], vectors.visible[chosen])

    results = [result for part in cluster.run_in_order(submit, parts, len, progress) for result in part]
    return _without_reasons(f"{task}: crops", results)


@ray.remote(num_cpus=1)
def predict_meshes(
    dataset: Dataset,
    key: PredictorKey,
    files: Sequence[MeshFile],
    landmarks_xy: NDArray[np.floating],
    visible: NDArray[np.floating],
) -> list[MeshPrediction | str]:
    """Return the predictions for some meshes, or why there are none."""
    predictor = _predictor(key)

    def predict(file: MeshFile, detection: Detection) -> MeshPrediction | str:
        try:
            mesh = dataset.load(file)
        except DataError as error:
            return str(error)
        try:
            prediction = predictor(mesh, detection)
        except FeaturelibError as error:
            return f"{file.name}: {error}"
        surface, lifter = Surface(mesh.vertices_mm, mesh.faces), predictor.lifter
        fused_mm = surface_landmarks(
            surface, *detection, mesh.centre_mm, lifter.spec, lifter.landmarks, lifter.view_noise
        )
        return MeshPrediction(prediction, fused_mm)

    return [predict(file, Detection(*found)) for file, *found in zip(files, landmarks_xy, visible, strict=True)]


@lru_cache(maxsize=2)
def _predictor(key: PredictorKey) -> Predictor:
    """Load a predictor once per process."""
    return Predictor.load(key.run, key.spec.projection, key.spec, key.landmarks)


def _without_reasons(task: str, results: Sequence[Any]) -> list[Any]:
    """Return results with None in place of each reason, and report the first reason."""
    reasons = [result for result in results if isinstance(result, str)]
    if reasons:
        count = f"{len(reasons)} of {len(results)} objects"
        logger.warning("%s: no prediction for %s; the first: %s", task, count, reasons[0])
    return [None if isinstance(result, str) else result for result in results]
