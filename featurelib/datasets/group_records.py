"""What a run has recorded of its groups, as a table with the columns `group` and one value: their splits or folds."""

from collections.abc import Mapping

from featurelib.datasets.csv_table import Line, read_rows, write_rows
from featurelib.errors import ConflictError
from featurelib.runtime import storage


def read_record(uri: str, value: str) -> list[Line]:
    """Return the rows of a record that exists, with the column `value`.

    Raises:
        DataError: if a column is missing or the file cannot be read.
    """
    return list(read_rows(storage.read_bytes(uri), uri, ("group", value), ()).lines)


def write_record(uri: str, value: str, by_group: Mapping[str, object], tag: str | None) -> None:
    """Write a record, if it is still the one that was read.

    Args:
        uri: of the file.
        value: name of the column.
        by_group: the values.
        tag: the storage tag of the file that was read; None without one.

    Raises:
        ConflictError: if another run wrote other values in the meantime.
    """
    content = write_rows(("group", value), [{"group": g, value: str(of)} for g, of in sorted(by_group.items())])
    try:
        storage.swap_bytes(uri, content, tag)
    except ConflictError:
        if storage.read_bytes(uri) != content:
            raise ConflictError(f"{uri}: another run wrote other {value}s in the meantime; run again") from None
