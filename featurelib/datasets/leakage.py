"""Checks of a rendering before training: no leaks between splits, shards that match the manifest, no empty split.

All views of an object have the same object_id, group, split and mesh hash, so Parquet's statistics of its row group
hold these values. Only the footer of a shard is read: two requests on S3, where reading the columns takes 19.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurelib.datasets.folds import resplit
from featurelib.datasets.schemas import VIEW_KEYS
from featurelib.datasets.shards.files import RECEIPT_KEY, Receipt
from featurelib.datasets.shards.manifest import Manifest
from featurelib.errors import DataError
from featurelib.runtime import storage

CONTENTS = pa.schema([*((name, pa.string()) for name in VIEW_KEYS), ("views", pa.int64())])
"""One row per object, with its number of views; views with another group, split or mesh have a row of their own."""

KINDS = {"object": "object_id", "group": "group", "mesh": "mesh_sha256"}
"""What must not be in more than one split, and the column that identifies it."""

READERS = 8
"""Threads that read footers: a request to a store takes far longer than parsing the footer."""

AGAIN = "and run `featurelib render` again"


@dataclass(frozen=True, eq=False)
class Contents:
    """The contents of some shards.

    rows: of CONTENTS. rejected: number of objects without views.
    faults: a line for each shard that differs from its receipt, without the fix.
    """

    rows: pa.Table
    rejected: int
    faults: tuple[str, ...]

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return the contents of all parts."""
        parts = list(parts)
        rows = pa.concat_tables([CONTENTS.empty_table(), *(part.rows for part in parts)])
        return cls(rows, sum(part.rejected for part in parts), tuple(fault for part in parts for fault in part.faults))

    def with_splits(self, splits: Mapping[str, str] | None) -> Self:
        """Return the objects that have one of these splits, by object, with that split; None changes nothing."""
        return replace(self, rows=resplit(self.rows, splits))


@dataclass(frozen=True)
class Leak:
    """An object, group or mesh that is in more than one split.

    kind: of KINDS. value: the object's id, the group's name or the mesh file's SHA-256.
    members: the (object_id, split) pairs that share it, sorted.
    """

    kind: str
    value: str
    members: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the splits in one line, with one object of each."""
        by_split: dict[str, list[str]] = {}
        for object_id, split in self.members:
            by_split.setdefault(split, []).append(object_id)
        if self.kind == "object":
            return f"object {self.value} is in {' and in '.join(sorted(by_split))}"
        places = [f"{split} ({ids[0]}{_more(len(ids) - 1)})" for split, ids in sorted(by_split.items())]
        return f"{self.kind} {self.value} is in {' and in '.join(places)}"


def read_contents(uri: str, names: Sequence[str]) -> Contents:
    """Return the contents of the shards of these names in the folder `uri`; no image is read.

    Raises:
        DataError: if a shard is missing or damaged.
    """
    filesystem, folder = storage.arrow_filesystem(uri)  # opened once: it may have to request credentials

    def read(name: str) -> Contents:
        try:
            with filesystem.open_input_file(f"{folder}/{name}") as source, pq.ParquetFile(source) as file:
                rows, receipt = _rows(file), _receipt(file.metadata.metadata)
        except FileNotFoundError:
            raise DataError(
                f"{uri}/{name}: no such file, but manifest.json names it; run `featurelib render` again"
            ) from None
        except (OSError, KeyError, ValueError) as error:  # these include pyarrow's errors
            raise DataError(f"{uri}/{name}: not a readable shard ({error}); delete it {AGAIN}") from None
        fault = _fault(name, rows, receipt)
        return Contents(rows, len(receipt.rejects) if receipt else 0, (f"{uri}/{name}: {fault}",) if fault else ())

    with ThreadPoolExecutor(READERS) as pool:
        return Contents.concat(pool.map(read, names))


def find_leaks(rows: pa.Table) -> list[Leak]:
    """Return what is in more than one split: objects first, then groups, then meshes.

    A group or a mesh counts if different objects share it; duplicates within one split are not a leak. The search
    runs in Arrow; only rows that leak become Python objects.

    Args:
        rows: of CONTENTS.
    """
    return [leak for kind, column in KINDS.items() for leak in _leaks_of(kind, column, rows)]


def find_mismatch(manifest: Manifest, contents: Contents) -> str | None:
    """Return the first difference between the shards and the manifest, with its fix; None if there is none."""
    if contents.faults:
        return f"{contents.faults[0]}{_also(len(contents.faults) - 1, 'shard')}; delete it {AGAIN}"
    counts = _counts(contents.rows)
    found: dict[str, dict[str, int] | int] = {"objects": counts[0], "views": counts[1], "rejected": contents.rejected}
    for name, value in found.items():
        if value != getattr(manifest, name):
            message = f"{name} {_text(getattr(manifest, name))}, but its shards hold {_text(value)}"
            return f"{storage.join(manifest.uri, 'manifest.json')}: {message}; delete it {AGAIN}"
    return None


def refuse_missing_splits(manifest: Manifest, splits: Iterable[str]) -> None:
    """Raise DataError if a split has no views."""
    for split in splits:
        if not manifest.views.get(split):
            raise DataError(
                f"{storage.join(manifest.uri, 'manifest.json')}: no views in the {split} split (objects: "
                f"{_text(manifest.objects)}); label more objects or set `split` in landmarks.csv, {AGAIN}"
            )


def refuse_leaks(manifest: Manifest, leaks: Sequence[Leak]) -> None:
    """Raise DataError with the first leak and its fix, if there is any."""
    if leaks:
        raise DataError(
            f"{storage.join(manifest.uri, 'manifest.json')}: the split leaks: {leaks[0]}"
            f"{_also(len(leaks) - 1, 'leak')}; {_fix(manifest, leaks[0])} {AGAIN}"
        )


def refuse_mismatch(manifest: Manifest, contents: Contents) -> None:
    """Raise DataError if the shards differ from the manifest."""
    if mismatch := find_mismatch(manifest, contents):
        raise DataError(mismatch)


def _rows(file: pq.ParquetFile) -> pa.Table:
    """Return a shard's rows of CONTENTS."""
    names = file.metadata.schema.names
    if missing := set(VIEW_KEYS).difference(names):
        raise ValueError(f"no column {', '.join(sorted(missing))}")
    columns = [names.index(name) for name in VIEW_KEYS]
    groups = range(file.metadata.num_row_groups)
    known = {i: _constants(file.metadata.row_group(i), columns) for i in groups}
    rows = pa.Table.from_pylist([row for row in known.values() if row], CONTENTS)
    mixed = [i for i in groups if known[i] is None]
    if mixed:  # a row group of several objects, or of one whose views disagree
        read = file.read_row_groups(mixed, columns=list(VIEW_KEYS))
        counts = pa.array([1] * len(read), pa.int64())
        rows = pa.concat_tables([rows, read.select(VIEW_KEYS).append_column("views", counts).cast(CONTENTS)])
    if empty := [name for name in VIEW_KEYS if rows[name].null_count]:
        raise ValueError(f"column {empty[0]} has nulls")
    totals = rows.group_by(VIEW_KEYS, use_threads=False).aggregate([("views", "sum")])
    return totals.rename_columns({"views_sum": "views"}).select(CONTENTS.names)


def _constants(group: pq.RowGroupMetaData, columns: Sequence[int]) -> dict[str, Any] | None:
    """Return the row of CONTENTS from a row group's statistics; None if these are not constant."""
    statistics = [group.column(column).statistics for column in columns]
    if not all(s and s.has_min_max and s.null_count == 0 and s.min == s.max for s in statistics):
        return None
    return {**{name: s.min for name, s in zip(VIEW_KEYS, statistics, strict=True)}, "views": group.num_rows}


def _receipt(metadata: dict[bytes, bytes] | None) -> Receipt | None:
    try:
        return Receipt.from_dict(json.loads((metadata or {})[RECEIPT_KEY]))
    except (KeyError, TypeError, ValueError):
        return None


def _fault(name: str, rows: pa.Table, receipt: Receipt | None) -> str | None:
    """Return the difference between a shard and its own receipt; None without one."""
    if receipt is None:
        return "has no receipt in its footer"
    if receipt.name != name:
        return f"holds the shard {receipt.name}"
    for what, found, counted in zip(("objects", "views"), _counts(rows), (receipt.objects, receipt.views), strict=True):
        if found != counted:
            return f"holds {what} {_text(found)}, but its receipt has {_text(counted)}"
    return None


def _counts(rows: pa.Table) -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of objects and of views by split."""
    totals = rows.group_by("split", use_threads=False).aggregate([("object_id", "count_distinct"), ("views", "sum")])
    splits = totals["split"].to_pylist()
    objects, views = (totals[name].to_pylist() for name in ("object_id_count_distinct", "views_sum"))
    return dict(zip(splits, objects, strict=True)), dict(zip(splits, views, strict=True))


def _leaks_of(kind: str, column: str, rows: pa.Table) -> Iterator[Leak]:
    """Yield the leaks of one kind, sorted by value."""
    keyed = pa.table({"key": rows[column], "split": rows["split"]})
    counts = keyed.group_by("key").aggregate([("split", "count_distinct")])
    leaked = counts.filter(pc.greater(counts["split_count_distinct"], 1))["key"]
    if not len(leaked):
        return
    members = rows.filter(pc.is_in(rows[column], value_set=leaked))
    triples = sorted(set(zip(*(members[name].to_pylist() for name in (column, "object_id", "split")), strict=True)))
    for value, group in groupby(triples, key=lambda triple: triple[0]):
        pairs = tuple((object_id, split) for _, object_id, split in group)
        if kind == "object" or len({object_id for object_id, _ in pairs}) > 1:
            yield Leak(kind, value, pairs)


def _fix(manifest: Manifest, leak: Leak) -> str:
    """Return the fix of a leak; a dataset has one split per group, so only a mesh can leak from a dataset."""
    if leak.kind == "mesh":
        return "give these objects one `group` in landmarks.csv, or keep one of them,"
    shards = sorted({manifest.shard_of(object_id).rpartition("/")[2] for object_id, _ in leak.members})
    return f"delete {' and '.join(shards[:2])}{_more(len(shards) - 2)}"


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _also(count: int, noun: str) -> str:
    return f" (and {count} more {noun}{'s' * (count > 1)})" if count > 0 else ""


def _text(counts: dict[str, int] | int) -> str:
    if isinstance(counts, int):
        return str(counts)
    return ", ".join(f"{split} {count}" for split, count in sorted(counts.items())) or "none"
