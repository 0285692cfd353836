"""The file `landmarks.csv`: an object's landmarks in the source frame and unit, one row per labelled point.

The columns are LONG, and `status`, which is `absent` for a landmark that does not exist on the object. A set of one
pair may have one row per object instead: WIDE, and `group` and `split`. Any other columns are kept.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from featurelib.datasets.coordinates import is_missing
from featurelib.datasets.csv_table import (
    Line,
    Row,
    Table,
    column_key,
    number,
    read_table,
    refuse_duplicate,
    refuse_surplus,
    with_known_columns,
    write_rows,
)
from featurelib.datasets.faults import Fault, report
from featurelib.datasets.landmark_columns import Landmarks
from featurelib.datasets.objects_table import OPTIONAL_COLUMNS, extra_of
from featurelib.errors import DataError, did_you_mean
from featurelib.geometry import SIDES, LandmarkSet

logger = logging.getLogger(__name__)

LONG = ("object_id", "landmark", *"xyz")
STATUS = "status"

COORDINATES = tuple(f"{side}_{axis}" for side in SIDES for axis in "xyz")
WIDE = ("object_id", *COORDINATES)

ABSENT = "absent"
STATUSES = ("", "present", ABSENT)

SHOWN_NAMES = 6
"""Number of a set's names in a message."""


def read_landmarks(content: bytes, name: str, landmarks: LandmarkSet, faults: list[Fault] | None = None) -> Landmarks:
    """Return the labels of a file; what is unusual in its encoding or its separators is logged as a warning.

    Args:
        content: of the file.
        name: of the file, for error messages.
        landmarks: the dataset's set.
        faults: receives the faults of single rows, which are then left out; without it the first is an error.

    Raises:
        DataError: with file, line, column and value.
    """
    table = open_table(content, name, landmarks)
    for note in table.notes:
        logger.warning("%s: %s", name, note)
    found = Landmarks(len(landmarks.names), [])
    add = _add_pair if is_wide(table.columns) else _add_point
    for line in table.lines:
        try:
            refuse_surplus(line)
            add(found, line, landmarks)
        except DataError as error:
            report(faults, line.row["object_id"] or None, str(error))
    if not found.object_ids and not faults:
        what = "object" if is_wide(table.columns) else "landmark"
        raise DataError(f"{name}: no rows; expected one for each labelled {what}")
    return found


def open_table(content: bytes, name: str, landmarks: LandmarkSet) -> Table:
    """Return a table in one of the two forms.

    Raises:
        DataError: if it lacks a column, or has one row per object and the set is not a single pair.
    """
    table = read_table(content, name)
    keys = {column_key(column) for column in table.columns}
    if "landmark" in keys or not (landmarks.is_single_pair or keys.issuperset(WIDE)):
        if twice := sorted(keys.intersection(OPTIONAL_COLUMNS)):
            raise DataError(f"{name}: column {twice[0]} in a table of one row per point; move it to objects.csv")
        return with_known_columns(table, name, LONG, (STATUS,), numbers="xyz")
    if not landmarks.is_single_pair:
        raise DataError(
            f"{name}: one row per object, but the set has {len(landmarks.names)} landmarks; "
            f"write one row per point, {','.join(LONG)}"
        )
    return with_known_columns(table, name, WIDE, OPTIONAL_COLUMNS, numbers=COORDINATES)


def is_wide(columns: Sequence[str]) -> bool:
    """Return whether a table with these columns has one row per object."""
    return "landmark" not in columns


def write_landmarks(
    landmarks: LandmarkSet,
    points: Mapping[str, ArrayLike],
    absent: Mapping[str, ArrayLike] | None = None,
    *,
    digits: int | None = None,
) -> bytes:
    """Return the file of one row per labelled or absent landmark.

    Args:
        landmarks: the set.
        points: (k, 3) by object, NaN where not labelled.
        absent: (k,) by object, whether the landmark does not exist on it; the column is left out if none is.
        digits: number of significant digits; by default all.
    """
    absent = absent or {}
    rows = [
        row
        for object_id, xyz in points.items()
        for row in point_rows(landmarks, object_id, xyz, absent.get(object_id), digits)
    ]
    has_status = any(row[STATUS] for row in rows)
    columns = (*LONG, STATUS) if has_status else LONG
    return write_rows(columns, rows if has_status else [{name: row[name] for name in LONG} for row in rows])


def write_pairs(pairs: Mapping[str, ArrayLike], *, digits: int | None = None) -> bytes:
    """Return the file of one row per object with the landmarks (2, 3) of a single pair."""
    return write_rows(WIDE, [{"object_id": object_id, **pair_cells(pair, digits)} for object_id, pair in pairs.items()])


def point_rows(
    landmarks: LandmarkSet,
    object_id: str,
    points: ArrayLike,
    absent: ArrayLike | None = None,
    digits: int | None = None,
) -> Iterator[Row]:
    """Yield an object's rows in the set's order; arguments as of `write_landmarks`."""
    positions = np.asarray(points, dtype=np.float64).reshape(-1, 3).tolist()
    gone = [False] * len(positions) if absent is None else np.asarray(absent, dtype=bool).tolist()
    for landmark, xyz, is_absent in zip(landmarks.names, positions, gone, strict=True):
        if is_absent or xyz[0] == xyz[0]:
            cells = ["", "", ""] if is_absent else _texts(xyz, digits)
            status = ABSENT if is_absent else ""
            yield {"object_id": object_id, "landmark": landmark, **dict(zip("xyz", cells, strict=True)), STATUS: status}


def pair_cells(pair: ArrayLike, digits: int | None = None) -> Row:
    """Return the cells of a pair (2, 3) in a row per object; empty where it is NaN."""
    return dict(zip(COORDINATES, _texts(np.asarray(pair, dtype=np.float64).reshape(6).tolist(), digits), strict=True))


def _texts(values: Iterable[float], digits: int | None) -> list[str]:
    return ["" if v != v else repr(v) if digits is None else f"{v:.{digits}g}" for v in values]


def _add_point(found: Landmarks, line: Line, landmarks: LandmarkSet) -> None:
    """Add the landmark of a row of one point.

    Raises:
        DataError: with file, line, column and value; also if it is in the table already.
    """
    row = line.row
    object_id, landmark, status = _object_id(line), row["landmark"], row.get(STATUS, "").lower()
    index = landmarks.index.get(landmark)
    if index is None:
        like = did_you_mean(landmark, landmarks.names) or f" expected {_some(landmarks.names)}"
        raise DataError(f"{line.place}: landmark {landmark!r} is not in the set of dataset.json;{like}")
    if found.has(object_id, index):
        raise DataError(f"{line.place}: duplicate {landmark!r} of object {object_id!r}; keep one row")
    if status not in STATUSES:
        raise DataError(f"{line.place}: status {row[STATUS]!r}; expected {' or '.join(filter(None, STATUSES))}")
    filled = [axis for axis in "xyz" if row[axis]]
    if status == ABSENT and filled:
        value = f"{filled[0]} is {row[filled[0]]}"
        raise DataError(f"{line.place}: {landmark!r} is absent, but {value}; remove the position or the status")
    if not filled and status != ABSENT:
        raise DataError(f"{line.place}: {landmark!r} has no position; remove the row, or set its status to {ABSENT}")
    found.add_point(object_id, index, None if status == ABSENT else _position(line, "xyz", landmark))


def _add_pair(found: Landmarks, line: Line, landmarks: LandmarkSet) -> None:
    """Add the pair of a row of one object.

    Raises:
        DataError: with file, line, column and value; also if the object is in the table already.
    """
    refuse_duplicate(line, found.places)
    object_id, extra = _object_id(line), extra_of(line)
    values = _position(line, COORDINATES[:3], SIDES[0]) + _position(line, COORDINATES[3:], SIDES[1])
    found.add_object(object_id, values, extra if any(extra) else None)


def _position(line: Line, columns: Sequence[str], landmark: str) -> list[float]:
    xyz = [number(line, column) for column in columns]
    if is_missing(xyz):
        value = f"{line.row[columns[0]]}, a missing value"
        raise DataError(f"{line.place}: {landmark} is {value}; mark the landmark or remove the row")
    return xyz


def _object_id(line: Line) -> str:
    if object_id := line.row["object_id"]:
        return object_id
    raise DataError(f"{line.place}: object_id is empty; expected the mesh file's name without its ending")


def _some(names: Sequence[str]) -> str:
    return f"one of {', '.join(names[:SHOWN_NAMES])}{', ...' * (len(names) > SHOWN_NAMES)}"
