"""Repeats: second marks of the same landmarks, made without the first ones in view, and how far they are apart.

The distance of two independent marks has the errors of both. If these are alike, the error of one mark is smaller by
the root of two (G. Dahlberg, Statistical Methods for Medical and Biological Students, 1940: the root of the sum of
squared differences over 2 n). Errors measured against single marks include it, even if a method finds the true points.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.annotation_history import Mark, add_repeat, read_marks
from featurelib.datasets.annotations import DIGITS, Label, read_labels, sources_of
from featurelib.datasets.dataset import Dataset
from featurelib.datasets.landmark_table import STATUS, point_rows
from featurelib.geometry import LandmarkSet, apply

SEEN = ("proposal", "corrected")
"""The sources of labels that depend on a position that was shown."""


class RepeatDistance(NamedTuple):
    """The distance between two independent marks of a landmark of an object."""

    object_id: str
    landmark: str
    distance_mm: float


def save_repeat(dataset_uri: str, landmarks: LandmarkSet, object_id: str, points: ArrayLike) -> None:
    """Keep second marks of an object's landmarks in the history; its label stays. The same marks are kept once.

    Args:
        dataset_uri: local folder or s3:// URI.
        landmarks: the dataset's set.
        object_id: of a mesh of the dataset.
        points: (k, 3) source frame and unit; NaN where not marked again.

    Raises:
        ConflictError: if others keep writing the history.
        DataError: if the history cannot be read or written.
    """
    rows = point_rows(landmarks, object_id, points, digits=DIGITS)
    cells = {row["landmark"]: tuple(row[column] for column in (*"xyz", STATUS)) for row in rows}
    add_repeat(dataset_uri, object_id, cells)


def repeat_distances(dataset: Dataset, object_id: str | None = None) -> list[RepeatDistance]:
    """Return the distances between all independent marks of each landmark, of one object or of all.

    Independent are repeats, and labels that depend on no position that was shown.

    Raises:
        DataError: if the labels or the history cannot be read.
    """
    marks: dict[str, list[Mark]] = {}
    for mark in read_marks(dataset.uri, object_id):
        marks.setdefault(mark.object_id, []).append(mark)
    repeated = {key: of for key, of in marks.items() if any(mark.event == "repeat" for mark in of)}
    labels = read_labels(dataset.uri, dataset.landmarks) if repeated else {}
    return [
        RepeatDistance(key, landmark, float(np.linalg.norm(one - other)))
        for key, of in sorted(repeated.items())
        for landmark, points in _independent(dataset.landmarks, of, labels.get(key))
        for one, other in combinations(apply(dataset.object_from_source, points), 2)
    ]


def floor_mm(distances_mm: ArrayLike) -> NDArray[np.float64]:
    """Return the errors of single marks from distances between two of them, in mm."""
    return np.asarray(distances_mm, dtype=np.float64) / np.sqrt(2)


def _independent(
    landmarks: LandmarkSet, marks: Sequence[Mark], label: Label | None
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the independent marks (m, 3) of each landmark of an object, source frame."""
    points: dict[str, list[NDArray[np.float64]]] = {name: [] for name in landmarks.names}
    if label is not None:
        for name, point, source in zip(landmarks.names, label.points, sources_of(label, landmarks, marks), strict=True):
            if source not in SEEN and np.isfinite(point).all():
                points[name].append(point)
    for mark in marks:
        if mark.event == "repeat" and mark.landmark in points and np.isfinite(mark.point).all():
            points[mark.landmark].append(mark.point)
    return ((name, np.reshape(of, (-1, 3))) for name, of in points.items())
