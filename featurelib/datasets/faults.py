"""Faults of single rows and files of a dataset, collected or raised."""

from typing import NamedTuple

from featurelib.errors import DataError


class Fault(NamedTuple):
    """A fault of one row or one mesh file: the object, if it is known, and a line that ends with the fix."""

    object_id: str | None
    message: str


def report(faults: list[Fault] | None, object_id: str | None, message: str) -> None:
    """Append a fault to the list; without a list, raise it as DataError."""
    if faults is None:
        raise DataError(message)
    faults.append(Fault(object_id, message))
