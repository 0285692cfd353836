"""The labels of a dataset that are probably mistakes, as rows of the queue."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.geometry import apply
from featurelib.labelling.queue import ToReview
from featurelib.labelling.suspects import suspects
from featurelib.models.predictions import predicted_objects
from featurelib.runtime import parquet, storage

Floats = NDArray[np.float64]


def to_review(dataset: Dataset, run: str | None) -> list[ToReview]:
    """Return the suspected labels of a dataset, the worst first.

    Args:
        dataset: of the labelled objects.
        run: whose folds have answers by models that have not seen the objects; None, or without folds, shapes decide.
    """
    labels_mm = points_mm(dataset)
    answers = out_of_fold(run, [*labels_mm], len(dataset.landmarks.names)) if run else None
    found = suspects(dataset.landmarks, [*labels_mm], np.array([*labels_mm.values()]), *(answers or ()))
    return [ToReview(one.object_id, one.landmark, one.kind, one.reason) for one in found]


def points_mm(dataset: Dataset) -> dict[str, Floats]:
    """Return the labels (k, 3) in the object frame by object; NaN where there is none."""
    return {
        row["object_id"]: apply(
            dataset.object_from_source_of(row["rotation_wxyz"]), np.reshape(row["landmarks"], (-1, 3))
        )
        for row in dataset.objects.to_pylist()
    }


def out_of_fold(run: str, object_ids: Sequence[str], num_landmarks: int) -> tuple[Floats, Floats] | None:
    """Return landmarks (n, k, 3) and standard deviations (n, k) in mm, by models that have not seen the objects.

    They are NaN for an object without an answer. The result is None if the run has no folds.
    """
    uri = storage.join(storage.absolute(run), "folds", "predictions.parquet")
    if not storage.exists(uri):
        return None
    found = predicted_objects(parquet.read_table(uri).sort_by("object_id"), num_landmarks)
    places: Mapping[str, int] = {object_id: i for i, object_id in enumerate(found.object_ids)}
    rows = [places.get(object_id, len(places)) for object_id in object_ids]
    empty = np.full((1, num_landmarks, 3), np.nan)
    return np.concatenate([found.points, empty])[rows], np.concatenate([found.sigma_mm, empty[..., 0]])[rows]
