"""The file `alignment.csv`: rotations of single objects, applied after the dataset's alignment."""

import logging
from collections.abc import Mapping

from featurelib.datasets.csv_table import number, read_rows, refuse_duplicate, refuse_surplus, write_rows
from featurelib.errors import DataError

logger = logging.getLogger(__name__)

Quaternion = tuple[float, float, float, float]
"""In the order w, x, y, z."""

COLUMNS = ("object_id", "w", "x", "y", "z")

MIN_LENGTH = 1e-12
"""Squared length of a quaternion below which it is no rotation."""


def read_rotations(content: bytes, name: str) -> dict[str, Quaternion]:
    """Return the rotations by object; a row may name an object that the dataset does not have.

    What is unusual in the encoding or the separators of the file is logged as a warning.

    Raises:
        DataError: naming line and value, if a row is not an object and a quaternion.
    """
    rotations: dict[str, Quaternion] = {}
    table = read_rows(content, name, COLUMNS)
    for note in table.notes:
        logger.warning("%s: %s", name, note)
    for line in table.lines:
        refuse_surplus(line)
        w, x, y, z = (number(line, axis) for axis in "wxyz")
        refuse_duplicate(line, rotations)
        if w * w + x * x + y * y + z * z < MIN_LENGTH:
            raise DataError(f"{line.place}: {w:g}, {x:g}, {y:g}, {z:g} is no rotation; the identity is 1, 0, 0, 0")
        rotations[line.row["object_id"]] = (w, x, y, z)
    return rotations


def write_rotations(rotations: Mapping[str, Quaternion]) -> bytes:
    """Return the file from which `read_rotations` reads the same numbers."""
    return write_rows(
        COLUMNS,
        (
            dict(zip(COLUMNS, [object_id, *map(repr, wxyz)], strict=True))
            for object_id, wxyz in sorted(rotations.items())
        ),
    )
