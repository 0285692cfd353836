"""The file `objects.csv`: the group and the split of single objects.

Objects that share a group (a family, a patient) are in one split; an object without one forms its own group.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from featurelib.datasets.csv_table import Line, Row, read_rows, refuse_duplicate, refuse_surplus, write_rows
from featurelib.datasets.faults import Fault, report
from featurelib.datasets.splits import SPLITS, assign_splits, has_many_groups, split_of
from featurelib.errors import DataError

logger = logging.getLogger(__name__)

OPTIONAL_COLUMNS = ("group", "split")


class Extra(NamedTuple):
    """What a table says about an object: its group and its split, each empty if it says nothing."""

    group: str = ""
    split: str = ""


def read_objects(content: bytes, name: str, faults: list[Fault] | None = None) -> dict[str, Extra]:
    """Return group and split by object; what is unusual in the file's encoding is logged as a warning.

    Args:
        content: of the file.
        name: of the file, for error messages.
        faults: receives the faults of single rows, which are then left out; without it the first is an error.

    Raises:
        DataError: with file, line, column and value.
    """
    table = read_rows(content, name, ("object_id",), OPTIONAL_COLUMNS)
    for note in table.notes:
        logger.warning("%s: %s", name, note)
    extras: dict[str, Extra] = {}
    for line in table.lines:
        try:
            refuse_surplus(line)
            refuse_duplicate(line, extras)
            if not line.row["object_id"]:
                raise DataError(f"{line.place}: object_id is empty; expected the mesh file's name without its ending")
            extras[line.row["object_id"]] = extra_of(line)
        except DataError as error:
            report(faults, line.row["object_id"] or None, str(error))
    return extras


def extra_of(line: Line) -> Extra:
    """Return group and split of a row.

    Raises:
        DataError: if the split is unknown.
    """
    split = line.row.get("split", "")
    if split not in ("", *SPLITS):
        raise DataError(f"{line.place}: split {split!r}; expected {', '.join(SPLITS)} or nothing")
    return Extra(line.row.get("group", ""), split)


def combined(
    labelled: Mapping[str, Extra], extras: Mapping[str, Extra], faults: list[Fault] | None
) -> dict[str, Extra]:
    """Return what landmarks.csv (`labelled`) and objects.csv (`extras`) say about objects; a difference is a fault."""
    both = {**labelled}
    for object_id, extra in extras.items():
        other = both.get(object_id, Extra())
        for column, value, known in zip(OPTIONAL_COLUMNS, extra, other, strict=True):
            if value and known and value != known:
                fault = f"{column} of {object_id!r} is {value!r}, and {known!r} in landmarks.csv; keep one"
                report(faults, object_id, f"objects.csv: {fault}")
        both[object_id] = Extra(extra.group or other.group, extra.split or other.split)
    return both


class Splits(NamedTuple):
    """The group and the split of each object.

    free_groups: those whose split the user did not fix, if it depends on other groups; None if it is by the hash of
        each name alone.
    has_fixed: whether the user fixed any.
    """

    groups: list[str]
    splits: list[str]
    free_groups: frozenset[str] | None
    has_fixed: bool


def groups_and_splits(
    object_ids: Iterable[str],
    extras: Mapping[str, Extra],
    known: Mapping[str, str] | None,
    name: str,
    faults: list[Fault] | None,
) -> Splits:
    """Return the group and the split of each object.

    The split is the one that the user fixed for an object of the group, else that of `splits.assign_splits`.

    Args:
        object_ids: of all objects.
        extras: what the tables say about some of them.
        known: the splits of groups that stay where they are; None leaves all groups to `splits.split_of`.
        name: of the table, for error messages.
        faults: receives the groups with two splits; without it the first is an error.
    """
    ids, nothing = list(object_ids), Extra()
    groups = [extras.get(object_id, nothing).group or object_id for object_id in ids] if extras else ids
    fixed: dict[str, str] = {}
    for object_id, group in zip(ids, groups, strict=True) if extras else ():
        split = extras.get(object_id, nothing).split
        if split and fixed.setdefault(group, split) != split:
            both = f"{fixed[group]} and {split}"
            fault = f"group {group!r} is in {both} (object {object_id!r}); a group has one split"
            report(faults, object_id, f"{name}: {fault}")
    if known is None or (not known and has_many_groups(groups, fixed)):
        return Splits(groups, [fixed.get(group) or split_of(group) for group in groups], None, bool(fixed))
    return Splits(groups, assign_splits(groups, fixed, known), frozenset(groups) - fixed.keys(), bool(fixed))


def write_objects(extras: Mapping[str, tuple[str, str]]) -> bytes:
    """Return the file of (group, split) by object; a column that would be empty is left out."""
    return _written({object_id: {**_cells(extra), "object_id": object_id} for object_id, extra in extras.items()})


def merge_objects(content: bytes, name: str, extras: Mapping[str, tuple[str, str]]) -> bytes:
    """Return the file with the groups and splits of some objects replaced or added, sorted by object_id.

    Other rows, and other columns, keep their text. The content may be empty.

    Raises:
        DataError: if the content is not such a table.
    """
    rows: dict[str, Row] = {}
    if content:
        for line in read_rows(content, name, ("object_id",), OPTIONAL_COLUMNS).lines:
            refuse_surplus(line)
            refuse_duplicate(line, rows)
            rows[line.row["object_id"]] = line.row
    for object_id, extra in extras.items():
        rows[object_id] = {**rows.get(object_id, {}), **_cells(extra), "object_id": object_id}
    return _written(dict(sorted(rows.items())))


def _cells(extra: tuple[str, str]) -> Row:
    return dict(zip(OPTIONAL_COLUMNS, extra, strict=True))


def _written(rows: Mapping[str, Row]) -> bytes:
    named = dict.fromkeys(["object_id", *OPTIONAL_COLUMNS, *(name for row in rows.values() for name in row)])
    columns = [name for name in named if name not in OPTIONAL_COLUMNS or any(row.get(name) for row in rows.values())]
    return write_rows(columns, [{name: row.get(name, "") for name in columns} for row in rows.values()])
