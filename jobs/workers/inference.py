"""What a run's methods say of objects, asked on the cluster: from vectors alone, on meshes, or all of it at once."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.datasets.shards import Manifest, RenderSpec
from featurelib.errors import DataError, FeaturelibError
from featurelib.meshes.template import LocatedPair, Template, locate
from featurelib.models.fusion import Surface, ViewNoise
from featurelib.models.lifter.fusing import surface_pairs
from featurelib.models.lifter.vectors import Vectors
from featurelib.models.requests import Answer, Seen
from featurelib.runtime.progress import Progress
from featurelib.runtime.threads import limit_threads
from jobs.workers import cluster

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from featurelib.models.predictor import Predictor

Item = TypeVar("Item")

VALIDATION_OBJECTS = 200
"""Whose meshes are asked, at most, evenly spread over the ids: 65 told nine views from five by 0.01 mm."""

FOUND_AT_ONCE = 8
"""Objects a task. A process loads the networks once, which takes as long as 50 objects do."""


def mesh_files(dataset: Dataset, object_ids: Iterable[str]) -> list[MeshFile]:
    """Return the mesh files of objects, in their order; where there is none, a name that cannot be read.

    Raises:
        DataError: if the dataset does not know an object.
    """
    files, known = dataset.files, {*dataset.objects["object_id"].to_pylist()}
    strangers = [object_id for object_id in object_ids if object_id not in known]
    if strangers:
        raise DataError(f"{dataset.uri}: no object {strangers[0]!r}, which the run has ({len(strangers)} such)")
    return [files.get(object_id) or MeshFile(str(object_id)) for object_id in object_ids]


def without_objects(dataset: Dataset) -> Dataset:
    """Return the dataset with an empty table: what a task needs to load meshes."""
    return Dataset(dataset.uri, dataset.unit, dataset.landmark, dataset.alignment, dataset.objects.slice(0, 0))


@ray.remote(num_cpus=1, max_calls=1)
def lifter_pairs(run: str, manifest: Manifest, vectors: Vectors, all_methods: bool) -> dict[str, NDArray[np.float64]]:
    """Return the landmarks (n, 2, 3) in mm that the chosen method and, if asked for, every other one gives.

    The process ends with the task: one that has loaded TensorFlow keeps the threads that it was given then.
    """
    limit_threads(1)
    from featurelib.models.lifter.model import Lifter

    lifter = Lifter.load(run, manifest.spec.projection, manifest.spec)
    if not all_methods:
        return {lifter.chosen: lifter.pairs(vectors, lifter.chosen)}
    pairs_mm = {method: lifter.pairs(vectors, method) for method in lifter.methods}
    return {**pairs_mm, "mean_point": np.asarray(lifter.mean_mm) + vectors.centre_mm[:, None]}


class Found(NamedTuple):
    """A predictor's answer on an object, and pairs (2, 3) in mm by the fusions that use the surface."""

    answer: Answer
    fused_mm: Mapping[str, NDArray[np.float64]]


class OnMesh(NamedTuple):
    """What an object's mesh adds: the registered mean shape, and pairs (2, 3) in mm by fusions that use the surface."""

    located: LocatedPair
    pairs_mm: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class MeshMethods:
    """What is asked of meshes. view_noise: of the fusions; empty leaves them out."""

    template: Template
    spec: RenderSpec
    view_noise: Mapping[bool, Sequence[ViewNoise]]


def on_meshes(
    task: str, dataset: Dataset, methods: MeshMethods, meshes: Sequence[MeshFile], vectors: Vectors
) -> list[OnMesh | None]:
    """Return what the meshes of n objects add to their vectors; None where a mesh is bad."""
    small, shared = ray.put(without_objects(dataset)), ray.put(methods)
    progress = Progress(f"{task}: mean shape", len(meshes), "objects")

    def submit(i: int) -> ray.ObjectRef:
        return on_mesh.remote(small, shared, meshes[i], vectors.pair_xy[i], vectors.visible[i])

    return _known(f"{task}: mean shape", cluster.run_in_order(submit, range(len(meshes)), lambda _: 1, progress))


@ray.remote(num_cpus=1)
def on_mesh(
    dataset: Dataset, methods: MeshMethods, file: MeshFile, pair_xy: NDArray[np.floating], visible: NDArray[np.floating]
) -> OnMesh | str:
    """Return what one mesh adds to what the detector saw of it, or why it is bad."""
    try:
        mesh = dataset.load(file)
    except DataError as error:
        return str(error)
    surface = Surface(mesh.vertices_mm, mesh.faces)
    located = locate(methods.template, mesh.vertices_mm, mesh.faces)
    pairs_mm = surface_pairs(surface, pair_xy, visible, mesh.centre_mm, methods.spec, methods.view_noise)
    return OnMesh(located, pairs_mm)


@dataclass(frozen=True)
class PredictorKey:
    """Which predictor a task needs; version: changes whenever what the predictor is made of does."""

    run: str
    spec: RenderSpec
    version: str


def find_all(
    task: str, dataset: Dataset, key: PredictorKey, meshes: Sequence[MeshFile], vectors: Vectors
) -> list[Found | None]:
    """Return what a run's predictor says of n objects; None where it has no answer.

    Args:
        task: for lines of progress.
        dataset: with the meshes.
        key: of the predictor.
        meshes: (n,) their files.
        vectors: of the same objects.
    """
    small, seen_xy = ray.put(without_objects(dataset)), vectors.seen_xy
    progress = Progress(f"{task}: crops", len(meshes), "objects")
    parts = [range(i, min(i + FOUND_AT_ONCE, len(meshes))) for i in range(0, len(meshes), FOUND_AT_ONCE)]

    def submit(part: range) -> ray.ObjectRef:
        files, chosen = [meshes[i] for i in part], list(part)
        return find_on.remote(small, key, files, seen_xy[chosen], vectors.visible[chosen])

    return _known(
        f"{task}: crops", [found for part in cluster.run_in_order(submit, parts, len, progress) for found in part]
    )


@ray.remote(num_cpus=1)
def find_on(
    dataset: Dataset,
    key: PredictorKey,
    files: Sequence[MeshFile],
    pairs_xy: NDArray[np.floating],
    visible: NDArray[np.floating],
) -> list[Found | str]:
    """Return the answers for some meshes, or why there are none."""
    limit_threads(1)
    predictor = _predictor(key)

    def find(file: MeshFile, seen: Seen) -> Found | str:
        try:
            mesh = dataset.load(file)
        except DataError as error:
            return str(error)
        try:
            answer = predictor(mesh, seen)
        except FeaturelibError as error:
            return f"{file.name}: {error}"
        surface, lifter = Surface(mesh.vertices_mm, mesh.faces), predictor.lifter
        return Found(answer, surface_pairs(surface, *seen, mesh.centre_mm, lifter.spec, lifter.view_noise))

    return [find(file, Seen(*seen)) for file, *seen in zip(files, pairs_xy, visible, strict=True)]


@lru_cache(maxsize=2)
def _predictor(key: PredictorKey) -> "Predictor":
    """Load a predictor once a process."""
    from featurelib.models.predictor import Predictor

    return Predictor.load(key.run, key.spec.projection, key.spec)


def _known(task: str, found: Sequence[Any]) -> list[Any]:
    """Return what was found, None in place of reasons, and say the first of those."""
    reasons = [one for one in found if isinstance(one, str)]
    if reasons:
        logger.warning("%s: no answer for %s of %s objects; the first: %s", task, len(reasons), len(found), reasons[0])
    return [None if isinstance(one, str) else one for one in found]
