"""What a run's methods say of objects: the lifter, the registered mean shape, the close-up refiner; on the cluster."""

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
import ray

from featurelib import storage
from featurelib.closeup.files import refiner_uri, refiner_version
from featurelib.dataset import Dataset
from featurelib.errors import DataError, GeometryError
from featurelib.lifter.vectors import Vectors
from featurelib.progress import Progress, say
from featurelib.shards import Manifest
from featurelib.template import Template, locate
from jobs import cluster
from jobs.vectorize import bound_tensorflow

Item = TypeVar("Item")

WAITING_PER_CPU = 4
"""Tasks in Ray's queue for each CPU of the cluster."""

REFINED_AT_ONCE = 8
"""Objects a task. A process loads the refiner once, which takes as long as 50 objects do."""


def lifter_version(run: str, projection: str) -> str:
    """Return a hash of a projection's lifter.json.

    Raises:
        DataError: if there is no trained lifter.
    """
    folder = storage.join(storage.absolute(run), "lifter", projection)
    if not storage.exists(storage.join(folder, "config.json")):
        raise DataError(f"{folder}: no trained lifter; run `featurelib train-lifter --projection {projection}`")
    return sha256(storage.read_bytes(storage.join(folder, "lifter.json"))).hexdigest()


def whole_refiner(run: str, projection: str) -> str | None:
    """Return the version of a projection's refiner; None without one, or if it starts from another lifter."""
    uri = refiner_uri(run, projection)
    config_uri = storage.join(uri, "config.json")
    if not storage.exists(config_uri):
        return None
    if json.loads(storage.read_bytes(config_uri)).get("lifter") != lifter_version(run, projection):
        say(f"{uri}: of another lifter, so it is left out; run `featurelib train-refiner --projection {projection}`")
        return None
    return refiner_version(uri)


def read_template(run: str, projection: str) -> Template:
    """Return a projection's mean shape."""
    uri = storage.join(storage.absolute(run), "lifter", projection, "template.npz")
    return Template.from_bytes(storage.read_bytes(uri), name=uri)


def mesh_files(dataset: Dataset, object_ids: Iterable[str]) -> list[str]:
    """Return the mesh files of objects, in their order; where there is none, a name that cannot be read.

    Raises:
        DataError: if the dataset does not know an object.
    """
    files = dict(zip(dataset.objects["object_id"].to_pylist(), dataset.objects["mesh"].to_pylist(), strict=True))
    strangers = [object_id for object_id in object_ids if object_id not in files]
    if strangers:
        raise DataError(f"{dataset.uri}: no object {strangers[0]!r}, which the run has ({len(strangers)} such)")
    return [files[object_id] or str(object_id) for object_id in object_ids]


def without_objects(dataset: Dataset) -> Dataset:
    """Return the dataset with an empty table: what a task needs to load meshes."""
    return Dataset(dataset.uri, dataset.unit, dataset.landmark, dataset.alignment, dataset.objects.slice(0, 0))


def gathered(
    submit: Callable[[Item], ray.ObjectRef], items: Sequence[Item], count: Callable[[Item], int], progress: Progress
) -> list[Any]:
    """Return the results of a task for each item, in their order, with a bounded number of tasks waiting."""
    results: list[Any] = [None] * len(items)
    coming, waiting = iter(range(len(items))), dict[ray.ObjectRef, int]()
    room = WAITING_PER_CPU * cluster.num_cpus()
    for _ in items:
        waiting.update((submit(items[i]), i) for _, i in zip(range(room - len(waiting)), coming, strict=False))
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        i = waiting.pop(ready)
        results[i] = ray.get(ready)
        progress.add(count(items[i]))
    progress.end()
    return results


@ray.remote(num_cpus=1, max_calls=1)
def lifter_pairs(
    run: str, manifest: Manifest, vectors: Vectors, all_methods: bool
) -> tuple[str, dict[str, np.ndarray]]:
    """Return the chosen method, and the landmarks (n, 2, 3) in mm that it and, if asked for, every other one gives.

    The process ends with the task: one that has loaded TensorFlow keeps the threads that it was given then.
    """
    bound_tensorflow(1)
    from featurelib.lifter.model import Lifter

    lifter = Lifter.load(run, manifest.spec.projection, manifest.spec)
    if not all_methods:
        return lifter.chosen, {lifter.chosen: lifter.pairs(vectors, lifter.chosen)}
    pairs_mm = {method: lifter.pairs(vectors, method) for method in lifter.methods}
    return lifter.chosen, {**pairs_mm, "mean_point": np.asarray(lifter.mean_mm) + vectors.centre_mm[:, None]}


def template_pairs(task: str, dataset: Dataset, template: Template, meshes: Sequence[str]) -> np.ndarray:
    """Return the landmarks (n, 2, 3) in mm that the registered mean shape gives; NaN where a mesh is bad."""
    small, shared = ray.put(without_objects(dataset)), ray.put(template)
    progress = Progress(f"{task}: template", len(meshes), "objects")
    answers = gathered(lambda mesh: register.remote(small, shared, mesh), meshes, lambda _: 1, progress)
    return _known(f"{task}: template", answers)


@ray.remote(num_cpus=1)
def register(dataset: Dataset, template: Template, name: str) -> np.ndarray | str:
    """Return the landmarks (2, 3) in mm of one mesh by the registered mean shape, or why there are none."""
    try:
        mesh = dataset.load(name)
    except DataError as error:
        return str(error)
    return locate(template, mesh.vertices_mm, mesh.faces).pair_mm


def refined_pairs(
    task: str, dataset: Dataset, uri: str, version: str, meshes: Sequence[str], starts_mm: np.ndarray
) -> np.ndarray:
    """Return the landmarks (n, 2, 3) in mm that a refiner makes of first estimates; NaN where it has no answer."""
    small = ray.put(without_objects(dataset))
    progress = Progress(f"{task}: refined", len(meshes), "objects")
    parts = [range(i, min(i + REFINED_AT_ONCE, len(meshes))) for i in range(0, len(meshes), REFINED_AT_ONCE)]

    def submit(part: range) -> ray.ObjectRef:
        return refine_meshes.remote(small, uri, version, [meshes[i] for i in part], starts_mm[list(part)])

    answers = [answer for part in gathered(submit, parts, len, progress) for answer in part]
    return _known(f"{task}: refined", answers)


@ray.remote(num_cpus=1)
def refine_meshes(
    dataset: Dataset, uri: str, version: str, names: Sequence[str], starts_mm: np.ndarray
) -> list[np.ndarray | str]:
    """Return the refined landmarks (2, 3) in mm of some meshes, or why there are none."""
    bound_tensorflow(1)
    from featurelib.closeup.model import refine_with

    def answer(name: str, start_mm: np.ndarray) -> np.ndarray | str:
        if not np.isfinite(start_mm).all():
            return f"{name}: no first estimate"
        try:
            mesh = dataset.load(name)
        except DataError as error:
            return str(error)
        try:
            return refine_with(uri, version, mesh, start_mm).pair_mm
        except GeometryError as error:
            return f"{name}: {error}"

    return [answer(*one) for one in zip(names, starts_mm, strict=True)]


def _known(task: str, answers: Sequence[np.ndarray | str]) -> np.ndarray:
    """Return the landmarks (n, 2, 3) of answers, NaN where one is a reason, and say the first such."""
    reasons = [answer for answer in answers if isinstance(answer, str)]
    if reasons:
        say(f"{task}: no answer for {len(reasons)} of {len(answers)} objects; the first: {reasons[0]}")
    none = np.full((2, 3), np.nan)
    return np.array([none if isinstance(answer, str) else answer for answer in answers]).reshape(-1, 2, 3)
