"""Results for the objects of folds, each by the models of the fold that has not seen it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.folds import Folds
from featurelib.datasets.shards import Manifest
from featurelib.models.lifter.model import Lifter
from featurelib.models.lifter.vectors import Vectors
from jobs.workers.inference import MeshMethods, OnMesh, lifter_landmarks, mesh_files, on_meshes


def lifted_by_folds(
    folds: Folds, manifest: Manifest, vectors: Vectors, methods: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return the landmarks (n, k, 3) in mm by some of the lifter's methods, for vectors of n objects."""
    places = _places(folds, vectors)
    coming = [
        lifter_landmarks.remote(run, manifest, vectors.take(chosen), all_methods=True) for run, chosen in places.items()
    ]
    found: list[dict[str, Any]] = ray.get(coming)
    back = np.argsort(np.concatenate([*places.values()]))
    return {method: np.concatenate([of_fold[method] for of_fold in found])[back] for method in methods}


def meshed_by_folds(
    task: str, folds: Folds, manifest: Manifest, dataset: Dataset, vectors: Vectors, *, fuses: bool = True
) -> list[OnMesh | None]:
    """Return what `on_meshes` returns for n objects, with the mean shapes of the folds.

    Args:
        task: for lines of progress.
        folds: of the run.
        manifest: of its renders.
        dataset: with the meshes.
        vectors: of the n objects.
        fuses: whether to apply the fusions that use the surface.
    """
    found: dict[int, OnMesh | None] = {}
    for run, chosen in _places(folds, vectors).items():
        lifter = Lifter.load(run, manifest.spec.projection, manifest.spec, manifest.landmarks)
        assert lifter.template is not None  # the folds' lifters are trained
        view_noise = lifter.view_noise if fuses else {}
        methods = MeshMethods(lifter.template, manifest.spec, manifest.landmarks, view_noise)
        some = vectors.take(chosen)
        results = on_meshes(task, dataset, methods, mesh_files(dataset, some.object_ids), some)
        found |= zip(chosen.tolist(), results, strict=True)
    return [found[i] for i in range(len(vectors))]


def _places(folds: Folds, vectors: Vectors) -> dict[str, NDArray[np.intp]]:
    """Return the indices of each fold's objects, by its run; folds without any are left out."""
    numbers = folds.numbers(vectors.object_ids)
    return {run: np.flatnonzero(numbers == fold) for fold, run in enumerate(folds.runs) if (numbers == fold).any()}
