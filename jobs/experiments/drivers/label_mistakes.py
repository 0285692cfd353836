"""`python -m jobs.experiments label-mistakes`: plant mistakes in labels and count those that are named.

1. Load the objects, and register the mean shape to them if their set is small.
2. Plant mistakes in single labels, and then in whole objects, several times.
3. Name the worst suspects up to the share that may be named, and count the planted mistakes among them.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import UsageError
from featurelib.geometry import LandmarkSet, apply
from featurelib.labelling.closeups import MOST_LANDMARKS, CloseUps, close_ups, predicted_mm
from featurelib.labelling.suspects import Suspect, suspects
from featurelib.meshes import Mesh
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.reference import REFERENCE_SAMPLE, build_reference, fit_to
from featurelib.meshes.surface import closest_points
from featurelib.runtime.console import print_result
from jobs.experiments.drivers.planted_mistakes import KINDS, Planted, plant_in_labels, plant_in_objects
from jobs.experiments.label_mistakes import LabelMistakesConfig

logger = logging.getLogger(__name__)


class Observed(NamedTuple):
    """The labels of an object and what its mesh tells about them.

    labels_mm: (k, 3). off_mm: (k,) distances from the surface. placed_mm: (k, 3) on the mean shape, and close-ups; NaN
    for a large set, which needs neither.
    """

    labels_mm: NDArray[np.float64]
    off_mm: NDArray[np.float64]
    placed_mm: NDArray[np.float64]
    close_ups: CloseUps | None


class Objects(NamedTuple):
    """The objects of the experiment with their right labels (n, k, 3), and the mean shape of a small set."""

    landmarks: LandmarkSet
    meshes: Sequence[Mesh]
    labels_mm: NDArray[np.float64]
    reference: ReferenceShape | None


def run(config: LabelMistakesConfig) -> None:
    """Plant, name and count."""
    objects = _objects(config, open_dataset(config.dataset))
    clean = [observed(objects, i, labels_mm) for i, labels_mm in enumerate(objects.labels_mm)]
    _print_clean(objects.landmarks, named_by(objects.landmarks, clean))
    for what, plant in {"labels": plant_in_labels, "objects": plant_in_objects}.items():
        count = round(config.share * len(clean) * (len(objects.landmarks.names) if what == "labels" else 1))
        shares = []
        for seed in range(config.seed, config.seed + config.repeats):
            random = np.random.default_rng(seed)
            planted = plant(objects.landmarks, objects.labels_mm, objects.meshes, count, config.slip_mm, random)
            rows = [
                observed(objects, i, planted.labels_mm[i]) if (planted.kinds[i] >= 0).any() else clean[i]
                for i in range(len(clean))
            ]
            found = named_by(objects.landmarks, rows)
            shares.append(shares_found(objects.landmarks, planted, found, config.named, whole=what == "objects"))
            logger.info("label-mistakes: %s, seed %d: %s", what, seed, shares[-1])
        _print_shares(what, np.array(shares))


def observed(objects: Objects, i: int, labels_mm: NDArray[np.float64]) -> Observed:
    """Return what the mesh of object i tells about labels (k, 3)."""
    mesh, placed_mm, seen = objects.meshes[i], np.full_like(labels_mm, np.nan), None
    off_mm = closest_points(labels_mm, mesh.vertices_mm, mesh.faces)[1]
    if objects.reference is not None and (fit := fit_to(mesh, objects.reference, labels_mm)) is not None:
        assert fit.landmarks is not None
        placed_mm = fit.landmarks * objects.reference.size_mm
        seen = close_ups(mesh, labels_mm, fit.rotation, placed_mm)
    return Observed(labels_mm, off_mm, placed_mm, seen)


def named_by(landmarks: LandmarkSet, rows: Sequence[Observed]) -> list[Suspect]:
    """Return the suspects; the object ids are the numbers of the rows."""
    labels_mm, off_mm, placed_mm = (np.array(values) for values in list(zip(*rows, strict=True))[:3])
    predicted = None
    seen = [row.close_ups for row in rows if row.close_ups is not None]
    if len(seen) == len(rows):
        images, axes_mm = (np.array(each) for each in zip(*seen, strict=True))
        predicted = predicted_mm(landmarks, labels_mm, images, axes_mm)
    placed = None if predicted is None else placed_mm
    ids = [str(i) for i in range(len(rows))]
    return suspects(landmarks, ids, labels_mm, predicted, placed_mm=placed, off_mm=off_mm)


def shares_found(
    landmarks: LandmarkSet, planted: Planted, found: Sequence[Suspect], named: float, *, whole: bool
) -> NDArray[np.float64]:
    """Return the share of each of KINDS among the named labels, or whole objects; NaN without such a mistake.

    Args:
        landmarks: the set.
        planted: the mistakes.
        found: the suspects, worst first.
        named: share of the labels or objects that may be named.
        whole: whether objects are counted.
    """
    kinds = planted.kinds.max(axis=1)[:, None] if whole else planted.kinds
    is_named = np.zeros(kinds.shape, dtype=bool)
    for suspect in found:
        columns = [landmarks.index[suspect.landmark]] if suspect.landmark and not whole else slice(None)
        after = is_named.copy()
        after[int(suspect.object_id), columns] = True
        if after.sum() > named * after.size:
            break
        is_named = after
    return np.array([is_named[kinds == i].mean() if (kinds == i).any() else np.nan for i in range(len(KINDS))])


def _objects(config: LabelMistakesConfig, dataset: Dataset) -> Objects:
    """Load the first objects.

    Raises:
        UsageError: if the dataset has fewer, or one of them lacks a label.
    """
    rows = dataset.objects.to_pylist()[: config.objects]
    to_object = [dataset.object_from_source_of(row["rotation_wxyz"]) for row in rows]
    labels_mm = np.array([apply(t, np.reshape(r["landmarks"], (-1, 3))) for t, r in zip(to_object, rows, strict=True)])
    if len(rows) < config.objects or not np.isfinite(labels_mm).all():
        raise UsageError(
            f"{dataset.uri}: {np.isfinite(labels_mm).all(axis=(1, 2)).sum()} of {len(rows)} objects have all labels; "
            f"--objects {config.objects} need them (lower it, or name another --dataset)"
        )
    logger.info("label-mistakes: loading %d objects", len(rows))
    meshes = [dataset.load(dataset.files[row["object_id"]]) for row in rows]
    is_small = len(dataset.landmarks.names) <= MOST_LANDMARKS
    sample = [meshes[i * len(meshes) // REFERENCE_SAMPLE] for i in range(REFERENCE_SAMPLE)]
    return Objects(dataset.landmarks, meshes, labels_mm, build_reference(sample) if is_small else None)


def _print_clean(landmarks: LandmarkSet, found: Sequence[Suspect]) -> None:
    """Print how suspicious right labels are."""
    worst = f"worst score {found[0].score:.1f}" if found else "none"
    print_result(f"{len(landmarks.names)} landmarks, right labels: {len(found)} suspects, {worst}")


def _print_shares(what: str, shares: NDArray[np.float64]) -> None:
    """Print the mean of the shares (seeds, kinds), their smallest and largest."""
    print_result(f"{'mistakes in ' + what:24}{'found':>8}{'least':>8}{'most':>8}")
    for kind, values in zip(KINDS, shares.T, strict=True):
        if np.isfinite(values).any():
            figures = (np.nanmean(values), np.nanmin(values), np.nanmax(values))
            print_result(f"{kind:24}" + "".join(f"{100 * value:7.0f}%" for value in figures))
