"""The file `landmarks.csv`: one row per object, with its landmark pair in the source frame and unit.

The columns are `object_id` and COORDINATES; `group` and `split` are optional, and any others are kept.
"""

import logging
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from featurelib.datasets.coordinates import is_missing
from featurelib.datasets.csv_table import Line, Row, number, read_rows, refuse_duplicate, refuse_surplus, write_rows
from featurelib.datasets.faults import Fault, report
from featurelib.datasets.schemas import POINT
from featurelib.datasets.splits import SPLITS, split_of
from featurelib.errors import DataError
from featurelib.geometry import SIDES

logger = logging.getLogger(__name__)

COORDINATES = tuple(f"{side}_{axis}" for side in SIDES for axis in "xyz")
COLUMNS = ("object_id", *COORDINATES)
OPTIONAL_COLUMNS = ("group", "split")


class LabelRow(NamedTuple):
    """One row as values: left and right as six numbers, the group ("" without one) and the split (None: not fixed)."""

    object_id: str
    values: Sequence[float]
    group: str = ""
    split: str | None = None


@dataclass(frozen=True)
class Landmarks:
    """The columns of the file. values: six numbers per object, or none at all without labels."""

    object_ids: list[str]
    groups: list[str]
    splits: list[str | None]
    values: array

    @classmethod
    def without_labels(cls, object_ids: Iterable[str]) -> Self:
        """Return objects without labels, each forms its own group."""
        ids = list(object_ids)
        return cls(ids, ids, [None] * len(ids), array("d"))

    def append(self, label: LabelRow) -> None:
        """Add a row; an object without a group forms its own group."""
        self.object_ids.append(label.object_id)
        self.values.extend(label.values)
        self.groups.append(label.group or label.object_id)
        self.splits.append(label.split)

    def points(self, start: int) -> pa.Array:
        """Return values `start` to `start` + 3 of each object as points; nulls without labels."""
        if not self.values:
            return pa.nulls(len(self.object_ids), POINT)
        numbers = np.frombuffer(self.values, dtype=np.float64).reshape(-1, 6)[:, start : start + 3]
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), 3)

    def splits_by_group(self, faults: list[Fault] | None) -> list[str]:
        """Return each object's split: the one that the user fixed for its group, else a function of the group."""
        fixed: dict[str, str] = {}
        for object_id, group, split in zip(self.object_ids, self.groups, self.splits, strict=True):
            if split and fixed.setdefault(group, split) != split:
                both = f"{fixed[group]} and {split}"
                fault = f"group {group!r} is in {both} (object {object_id!r}); a group has one split"
                report(faults, object_id, f"landmarks.csv: {fault}")
        return [fixed.get(group) or split_of(group) for group in self.groups]


def read_landmarks(content: bytes, name: str, faults: list[Fault] | None = None) -> Landmarks:
    """Return the labels of a file; what is unusual in its encoding or its separators is logged as a warning.

    Args:
        content: of the file.
        name: of the file, for error messages.
        faults: receives the faults of single rows, which are then left out; without it the first is an error.

    Raises:
        DataError: with file, line, column and value.
    """
    landmarks, seen = Landmarks([], [], [], array("d")), set[str]()
    table = read_rows(content, name, COLUMNS, OPTIONAL_COLUMNS)
    for note in table.notes:
        logger.warning("%s: %s", name, note)
    for line in table.lines:
        try:
            landmarks.append(_label(line, seen))
        except DataError as error:
            report(faults, line.row["object_id"] or None, str(error))
    if not landmarks.object_ids and not faults:
        raise DataError(f"{name}: no rows; expected one for each labelled object")
    return landmarks


def read_text(content: bytes, name: str) -> tuple[list[str], list[Row]]:
    """Return the columns and rows; those of a new file if the content is empty.

    Cells keep their text, without blanks at the ends. Decimal commas become points, since commas separate the columns
    when the table is written again.

    Raises:
        DataError: if it is not a table with these columns, or an object has two rows.
    """
    if not content:
        return list(COLUMNS), []
    table = read_rows(content, name, COLUMNS, OPTIONAL_COLUMNS)
    rows: dict[str, Row] = {}
    for line in table.lines:
        refuse_surplus(line)
        refuse_duplicate(line, rows)
        rows[line.row["object_id"]] = line.row
    return table.columns, [*rows.values()]


def coordinate_cells(pair: ArrayLike, digits: int | None = None) -> Row:
    """Return the cells of a pair (2, 3), with all digits or with a number of significant ones."""
    values = np.asarray(pair, dtype=np.float64).reshape(6).tolist()
    return dict(zip(COORDINATES, (repr(v) if digits is None else f"{v:.{digits}g}" for v in values), strict=True))


def write_landmarks(pairs: Mapping[str, ArrayLike], extras: Mapping[str, tuple[str, str]] | None = None) -> bytes:
    """Return the file of pairs (2, 3) by object, with all their digits.

    Args:
        pairs: left and right by object.
        extras: group and split by object; a column that would be empty is left out.
    """
    return write_rows(*_merged(list(COLUMNS), [], pairs, extras or {}))


def merge_landmarks(
    content: bytes, name: str, pairs: Mapping[str, ArrayLike], extras: Mapping[str, tuple[str, str]]
) -> tuple[bytes, list[str]]:
    """Return a file with the rows of some objects replaced or added, sorted by object_id, and its objects.

    The other rows keep their text and their other columns. Arguments as of `read_text` and `write_landmarks`.

    Raises:
        DataError: if the content is not such a table.
    """
    columns, rows = _merged(*read_text(content, name), pairs, extras)
    ordered = sorted(rows, key=lambda row: row["object_id"])
    return write_rows(columns, ordered), [row["object_id"] for row in ordered]


def _merged(
    columns: list[str], rows: list[Row], pairs: Mapping[str, ArrayLike], extras: Mapping[str, tuple[str, str]]
) -> tuple[list[str], list[Row]]:
    """Return columns and rows with new rows in place of those of the same objects."""
    new = {}
    for object_id, pair in pairs.items():
        group, split = extras.get(object_id, ("", ""))
        new[object_id] = {"object_id": object_id, **coordinate_cells(pair), "group": group, "split": split}
    filled = [name for name in OPTIONAL_COLUMNS if any(row[name] for row in new.values())]
    columns = list(dict.fromkeys([*columns, *filled]))
    kept = {row["object_id"]: row for row in rows} | new
    return columns, [{name: row.get(name, "") for name in columns} for row in kept.values()]


def _label(line: Line, seen: set[str]) -> LabelRow:
    """Return a row's values, and note its object among those that were seen.

    Raises:
        DataError: with file, line, column and value.
    """
    refuse_surplus(line)
    refuse_duplicate(line, seen)
    object_id = line.row["object_id"]
    if not object_id:
        raise DataError(f"{line.place}: object_id is empty; expected the mesh file's name without its ending")
    seen.add(object_id)
    values = [number(line, column) for column in COORDINATES]
    if is_missing(values[:3]) or is_missing(values[3:]):
        side = SIDES[not is_missing(values[:3])]
        value = f"{line.row[f'{side}_x']}, a missing value"
        raise DataError(f"{line.place}: {side} is {value}; mark the landmark or remove the row")
    split = line.row.get("split") or None
    if split not in (None, *SPLITS):
        raise DataError(f"{line.place}: split {split!r}; expected {', '.join(SPLITS)} or nothing")
    return LabelRow(object_id, values, line.row.get("group", ""), split)
