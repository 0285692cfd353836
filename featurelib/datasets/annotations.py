"""Annotation of a dataset: reading and saving the labels of single objects, with a history and no lost updates.

An object's rows of `landmarks.csv` are replaced only if they are still the rows that were read, and the text of other
rows is kept. What is replaced and what is saved are added to `landmarks.history.csv` first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.annotation_history import REMOVED, Mark, Source, add_save
from featurelib.datasets.coordinates import is_missing
from featurelib.datasets.csv_table import Row
from featurelib.datasets.landmark_table import ABSENT, COORDINATES, LONG, STATUS
from featurelib.datasets.landmark_text import LandmarkText, read_text
from featurelib.errors import ConflictError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import storage

NO_ROWS = "none"
"""The version of an object without rows."""

DIGITS = 9
"""Significant digits of a saved coordinate."""


@dataclass(frozen=True, eq=False)
class Label:
    """What is known of one object's landmarks, in the order of the set.

    points: (k, 3) source frame and unit; NaN if the landmark is absent, has no row, or its row has no position or marks
        a missing value.
    absent: (k,) whether the landmark does not exist on the object.
    version: changes with the object's rows.
    """

    points: NDArray[np.float64]
    absent: NDArray[np.bool_]
    version: str

    @property
    def is_complete(self) -> bool:
        """Whether each landmark is placed or absent."""
        return bool((np.isfinite(self.points).all(axis=1) | self.absent).all())


def read_labels(dataset_uri: str, landmarks: LandmarkSet) -> dict[str, Label]:
    """Return the labels of a dataset by object; empty without a `landmarks.csv`.

    Raises:
        DataError: if the file is not a table of landmarks.
    """
    text = _text(dataset_uri, landmarks)
    return {object_id: _label(text, object_id) for object_id in text.rows}


def read_label(dataset_uri: str, landmarks: LandmarkSet, object_id: str) -> Label:
    """Return the label of one object."""
    return _label(_text(dataset_uri, landmarks), object_id)


def sources_of(label: Label, landmarks: LandmarkSet, marks: Sequence[Mark]) -> list[Source | None]:
    """Return how each landmark (k,) of an object's label was made; None if that is not known.

    It is that of the last save in the history of exactly this label. A change by another program has none.

    Args:
        label: of one object.
        landmarks: the dataset's set.
        marks: of the object, in order.
    """
    saved: dict[str, list[Mark]] = {name: [] for name in landmarks.names}
    for mark in marks:
        if mark.event == "saved":
            saved.setdefault(mark.landmark, []).append(mark)
    labels = zip(landmarks.names, label.points, label.absent, strict=True)
    same = ([mark for mark in saved[name] if _is_of(mark, *of)] for name, *of in labels)
    return [found[-1].source if found else None for found in same]


def _is_of(mark: Mark, point: NDArray[np.float64], is_absent: bool) -> bool:
    return mark.is_absent == is_absent and (is_absent or np.array_equal(mark.point, point))


def save_label(
    dataset_uri: str,
    landmarks: LandmarkSet,
    object_id: str,
    points: ArrayLike,
    absent: ArrayLike,
    version: str,
    sources: Mapping[str, Source] | None = None,
) -> Label:
    """Replace or add an object's rows and return the new label.

    Args:
        dataset_uri: local folder or s3:// URI.
        landmarks: the dataset's set.
        object_id: of a mesh of the dataset.
        points: (k, 3) source frame and unit; NaN where not labelled.
        absent: (k,) whether the landmark does not exist on the object.
        version: of the rows to replace.
        sources: how the changed landmarks were marked, by name, for the history.

    Raises:
        ConflictError: if the rows were changed in the meantime.
        DataError: if the table cannot be read or written, or has one row per object and a landmark is not
            labelled.
    """
    before = _text(dataset_uri, landmarks)
    _check(before, version, object_id)
    after = _with_label(before, object_id, points, absent)  # refuses before the history is written
    old, new = before.cells_of(object_id), after.cells_of(object_id)
    was, will = _label(before, object_id), _label(after, object_id)
    changed = {name for name, i in landmarks.index.items() if not _are_equal(was, will, i)} | (set(old) - set(new))
    add_save(
        dataset_uri,
        object_id,
        {name: cells for name, cells in old.items() if name in changed},
        {name: new.get(name, REMOVED) for name in (*landmarks.names, *old) if name in changed},
        sources or {},
    )

    def with_rows(content: bytes) -> bytes:
        text = read_text(content, _labels_uri(dataset_uri), landmarks)
        _check(text, version, object_id)
        return _with_label(text, object_id, points, absent).written()

    storage.edit_bytes(_labels_uri(dataset_uri), with_rows)
    return read_label(dataset_uri, landmarks, object_id)


def _with_label(text: LandmarkText, object_id: str, points: ArrayLike, absent: ArrayLike) -> LandmarkText:
    """Return a table with an object's new label; in one row per point, landmarks whose label stays keep their cells."""
    rows = text.rows_of(object_id, points, absent, DIGITS)
    if not text.is_wide:
        was, will = _label(text, object_id), Label(np.asarray(points, np.float64), np.asarray(absent, bool), "")
        index, present = text.landmarks.index, {row["landmark"]: row for row in text.rows.get(object_id, ())}
        rows = [
            present[row["landmark"]] if _are_equal(was, will, index[row["landmark"]]) else row  # with a label: present
            for row in rows
        ]
    return text.replaced({object_id: rows})


def _are_equal(one: Label, other: Label, index: int) -> bool:
    """Return whether a landmark has the same label in both, to the digits that a save keeps."""
    points = [[f"{value:.{DIGITS}g}" for value in label.points[index]] for label in (one, other)]
    return points[0] == points[1] and one.absent[index] == other.absent[index]


def _labels_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.csv")


def _text(dataset_uri: str, landmarks: LandmarkSet) -> LandmarkText:
    uri = _labels_uri(dataset_uri)
    return read_text(storage.read_bytes(uri) if storage.exists(uri) else b"", uri, landmarks)


def _label(text: LandmarkText, object_id: str) -> Label:
    """Return an object's label; a row of a landmark that is not in the set is left out."""
    index = text.landmarks.index
    points = np.full((len(index), 3), np.nan)
    absent = np.zeros(len(index), dtype=bool)
    for name, (*xyz, status) in text.cells_of(object_id).items():
        if (at := index.get(name)) is not None:
            absent[at] = status.lower() == ABSENT
            points[at] = np.nan if absent[at] else _position(xyz)
    return Label(points, absent, _version(text, text.rows.get(object_id, ())))


def _position(cells: Sequence[str]) -> Sequence[float]:
    """Return a position from its cells; NaN if they hold none."""
    try:
        xyz = [float(cell) for cell in cells]
    except ValueError:
        return [np.nan] * 3
    return xyz if np.isfinite(xyz).all() and not is_missing(xyz) else [np.nan] * 3


def _version(text: LandmarkText, rows: Sequence[Row]) -> str:
    """Return a hash of the cells that `save_label` replaces."""
    if not rows:
        return NO_ROWS
    columns = COORDINATES if text.is_wide else (*LONG[1:], STATUS)
    cells = sorted(",".join(row.get(column, "") for column in columns) for row in rows)
    return sha256("\n".join(cells).encode()).hexdigest()[:16]


def _check(text: LandmarkText, version: str, object_id: str) -> None:
    if _version(text, text.rows.get(object_id, ())) != version:
        raise ConflictError(f"object {object_id!r}: its label was saved by somebody else; load it again")
