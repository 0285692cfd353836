"""Annotation of a dataset: reading and saving the labels of single objects, with a history and no lost updates.

An object's rows of `landmarks.csv` are replaced only if they are still the rows that were read, and the text of other
rows is kept. The replaced rows are appended to `landmarks.history.csv` first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.coordinates import is_missing
from featurelib.datasets.csv_table import Row, write_rows
from featurelib.datasets.landmark_table import ABSENT, COORDINATES, LONG, STATUS, WIDE
from featurelib.datasets.landmark_text import LandmarkText, read_text
from featurelib.errors import ConflictError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import storage

NO_ROWS = "none"
"""The version of an object without rows."""

TRIES = 20
"""Number of attempts of a save when other rows are saved at the same time."""

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


def save_label(
    dataset_uri: str, landmarks: LandmarkSet, object_id: str, points: ArrayLike, absent: ArrayLike, version: str
) -> Label:
    """Replace or add an object's rows and return the new label.

    Args:
        dataset_uri: local folder or s3:// URI.
        landmarks: the dataset's set.
        object_id: of a mesh of the dataset.
        points: (k, 3) source frame and unit; NaN where not labelled.
        absent: (k,) whether the landmark does not exist on the object.
        version: of the rows to replace.

    Raises:
        ConflictError: if the rows were changed in the meantime.
        DataError: if the table cannot be read or written, or has one row per object and a landmark is not
            labelled.
    """
    before = _text(dataset_uri, landmarks)
    _check(before, version, object_id)
    before.rows_of(object_id, points, absent)  # refuses before the history is written
    _rewrite(
        _history_uri(dataset_uri), lambda content: _with_history(content, _text(dataset_uri, landmarks), object_id)
    )

    def with_rows(content: bytes) -> bytes:
        text = read_text(content, _labels_uri(dataset_uri), landmarks)
        _check(text, version, object_id)
        return text.replaced({object_id: text.rows_of(object_id, points, absent, DIGITS)}).written()

    _rewrite(_labels_uri(dataset_uri), with_rows)
    return read_label(dataset_uri, landmarks, object_id)


def _labels_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.csv")


def _history_uri(dataset_uri: str) -> str:
    return storage.join(dataset_uri, "landmarks.history.csv")


def _text(dataset_uri: str, landmarks: LandmarkSet) -> LandmarkText:
    uri = _labels_uri(dataset_uri)
    return read_text(storage.read_bytes(uri) if storage.exists(uri) else b"", uri, landmarks)


def _label(text: LandmarkText, object_id: str) -> Label:
    """Return an object's label; a row of a landmark that is not in the set is left out."""
    index, rows = text.landmarks.index, text.rows.get(object_id, ())
    points = np.full((len(index), 3), np.nan)
    absent = np.zeros(len(index), dtype=bool)
    for row in rows:
        if text.is_wide:
            points[:] = [
                _position([row[column] for column in columns]) for columns in (COORDINATES[:3], COORDINATES[3:])
            ]
        elif (at := index.get(row["landmark"])) is not None:
            absent[at] = row.get(STATUS, "").lower() == ABSENT
            points[at] = np.nan if absent[at] else _position([row[axis] for axis in "xyz"])
    return Label(points, absent, _version(text, rows))


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


def _with_history(content: bytes, text: LandmarkText, object_id: str) -> bytes:
    """Return the history with an object's rows before they are replaced; one without values if there are none.

    The header is written again where the form of the table has changed.
    """
    columns = ["replaced_at", *(WIDE if text.is_wide else (*LONG, STATUS))]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = text.rows.get(object_id) or [{"object_id": object_id}]
    lines = write_rows(columns, [{name: row.get(name, "") for name in columns} | {"replaced_at": now} for row in rows])
    header, _, added = lines.partition(b"\n")
    headers = [line for line in content.split(b"\n") if line.startswith(b"replaced_at,")]
    return content + (added if headers[-1:] == [header] else lines)


def _rewrite(uri: str, edit: Callable[[bytes], bytes]) -> None:
    """Replace a file's content (empty without a file) by a function of it; try again if others write it."""
    for _ in range(TRIES):
        tag = storage.tag(uri)
        content = edit(storage.read_bytes(uri) if tag else b"")
        try:
            storage.swap_bytes(uri, content, tag)
        except ConflictError:
            continue
        return
    raise ConflictError(f"{uri.rpartition('/')[2]}: others keep writing it; save again")
