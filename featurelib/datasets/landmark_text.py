"""The text of `landmarks.csv`, for changes of single objects: other objects keep their cells and columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from featurelib.datasets.csv_table import Row, refuse_duplicate, refuse_surplus, write_rows
from featurelib.datasets.landmark_table import (
    COORDINATES,
    LONG,
    STATUS,
    WIDE,
    is_wide,
    open_table,
    pair_cells,
    point_rows,
)
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

Cells = Mapping[str, tuple[str, ...]]
"""The cells x, y, z and status of landmarks by name."""


@dataclass(frozen=True)
class LandmarkText:
    """The columns of a file in one of its two forms, and its rows by object."""

    landmarks: LandmarkSet
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Row]]

    @property
    def is_wide(self) -> bool:
        """Whether the file has one row per object."""
        return is_wide(self.columns)

    def cells_of(self, object_id: str) -> Cells:
        """Return the cells of an object's landmarks in either form; empty without rows."""
        rows = self.rows.get(object_id, ())
        if not self.is_wide:
            return {row["landmark"]: (*(row[axis] for axis in "xyz"), row.get(STATUS, "")) for row in rows}
        sides = COORDINATES[:3], COORDINATES[3:]
        return {
            name: (*(row[column] for column in columns), "")
            for row in rows
            for name, columns in zip(self.landmarks.names, sides, strict=True)
        }

    def rows_of(
        self, object_id: str, points: ArrayLike, absent: ArrayLike | None = None, digits: int | None = None
    ) -> list[Row]:
        """Return an object's rows with new positions and the other cells of its present rows.

        Arguments as of `landmark_table.write_landmarks`.

        Raises:
            DataError: if the file has one row per object, and only some landmarks are labelled, or the row of an
                object without labels has other cells, such as its group.
        """
        present = self.rows.get(object_id, ())
        if not self.is_wide:
            others = {row["landmark"]: row for row in present}
            new = point_rows(self.landmarks, object_id, points, absent, digits)
            return [{**others.get(row["landmark"], {}), **row} for row in new]
        is_placed = ~np.isnan(np.asarray(points, dtype=np.float64)).any(axis=-1)
        extras = {name: cell for row in present for name, cell in row.items() if name not in WIDE}
        if not is_placed.any() and not np.any(absent) and not any(extras.values()):
            return []
        if not is_placed.all() or np.any(absent):
            form = ",".join((*LONG, STATUS))
            raise DataError(f"landmarks.csv: one row per object needs all its positions; write {form} instead")
        return [{**(present[0] if present else {}), "object_id": object_id, **pair_cells(points, digits)}]

    def replaced(self, rows: Mapping[str, Sequence[Row]]) -> "LandmarkText":
        """Return the text with the rows of some objects replaced or added; without those that have none."""
        merged = {object_id: lines for object_id, lines in {**self.rows, **rows}.items() if lines}
        has_status = any(row.get(STATUS) for lines in rows.values() for row in lines)
        added = [STATUS] if has_status and STATUS not in self.columns else []
        return LandmarkText(self.landmarks, [*self.columns, *added], merged)

    def written(self) -> bytes:
        """Return the file."""
        return write_rows(
            self.columns,
            ({name: row.get(name, "") for name in self.columns} for lines in self.rows.values() for row in lines),
        )


def read_text(content: bytes, name: str, landmarks: LandmarkSet) -> LandmarkText:
    """Return the columns and rows; those of a new file with one row per point if the content is empty.

    Cells keep their text, without blanks at the ends. Decimal commas become points, since commas separate the columns
    when the table is written again.

    Raises:
        DataError: if it is not a table with these columns, or has two rows of a landmark or of an object.
    """
    if not content:
        return LandmarkText(landmarks, list(LONG), {})
    table = open_table(content, name, landmarks)
    rows: dict[str, list[Row]] = {}
    seen: set[tuple[str, str]] = set()
    for line in table.lines:
        refuse_surplus(line)
        object_id = line.row["object_id"]
        if is_wide(table.columns):
            refuse_duplicate(line, rows)
        elif (key := (object_id, line.row["landmark"])) in seen:
            raise DataError(f"{line.place}: duplicate {key[1]!r} of object {object_id!r}; keep one row")
        else:
            seen.add(key)
        rows.setdefault(object_id, []).append(line.row)
    return LandmarkText(landmarks, table.columns, rows)


def merge_landmarks(
    content: bytes,
    name: str,
    landmarks: LandmarkSet,
    points: Mapping[str, ArrayLike],
    absent: Mapping[str, ArrayLike] | None = None,
) -> tuple[bytes, list[str]]:
    """Return a file with the rows of some objects replaced or added, sorted by object_id, and its objects.

    Arguments as of `read_text` and `landmark_table.write_landmarks`; a file of one row per object keeps this form.

    Raises:
        DataError: as `read_text` and `LandmarkText.rows_of`.
    """
    text = read_text(content, name, landmarks)
    gone = absent or {}
    new = {object_id: text.rows_of(object_id, xyz, gone.get(object_id)) for object_id, xyz in points.items()}
    merged = text.replaced(new)
    ordered = LandmarkText(landmarks, merged.columns, dict(sorted(merged.rows.items())))
    return ordered.written(), list(ordered.rows)
