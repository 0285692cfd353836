import hashlib
import json
import re
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.datasets.leakage import (
    CONTENTS,
    KINDS,
    Contents,
    Leak,
    find_leaks,
    find_mismatch,
    read_contents,
    refuse_leaks,
    refuse_mismatch,
    refuse_missing_splits,
)
from featurelib.datasets.shards import (
    Manifest,
    Receipt,
    RenderSpec,
    bucket_of,
    commit,
    encode_png,
    open_renders,
    write_shard,
)
from featurelib.errors import DataError
from featurelib.geometry import DEFAULT_RIG, Alignment, LandmarkSet

VIEWS, SHARDS = 3, 4
SPLIT_OF = {f"head-{i:02d}": ("train", "val", "train", "test")[i % 4] for i in range(24)}
REJECT = {"object_id": "bad", "stage": "load", "reason": "meshes/bad.ply: the file is empty"}
PAIR = LandmarkSet.single_pair("tragus")
SPEC = RenderSpec("mm", Alignment(), "orthographic", 200.0, 8, DEFAULT_RIG, "raster")
PNG = encode_png(np.zeros((8, 8), np.uint8))


def view_rows(object_id: str) -> list[dict[str, Any]]:
    """An object's rows; only the columns that an audit reads have meaningful values."""
    pose = [float(i) for i in range(16)]
    numbers = {"landmarks_mm": [1, 2, 3] * 2, "centre_mm": [0, 0, 0], "object_from_camera": pose}
    return [
        {
            "object_id": object_id,
            "group": f"family-{object_id}",
            "split": SPLIT_OF[object_id],
            "view": view,
            "projection": "orthographic",
            "png": PNG,
            "landmarks_xy": [0.5] * 4,
            **numbers,
            "mesh_sha256": hashlib.sha256(object_id.encode()).hexdigest(),
        }
        for view in range(VIEWS)
    ]


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    """A rendering of 24 objects in four shards; a 25th object was rejected."""
    folder, receipts = tmp_path / "renders" / "orthographic", []
    for bucket in range(SHARDS):
        rows = [row for name in SPLIT_OF if bucket_of(name, SHARDS) == bucket for row in view_rows(name)]
        receipt = Receipt(f"shard-{bucket}.parquet", bucket, rejects=(REJECT,) * (bucket == 2))
        receipts.append(write_shard(str(folder / receipt.name), rows, receipt, PAIR))
    return commit(str(folder), "heads", PAIR, SPEC, receipts, len(SPLIT_OF) + 1)


def contents_of(manifest: Manifest) -> Contents:
    return read_contents(manifest.uri, manifest.shards)


def rewrite(uri: str, column: str, values: dict[int, str | None], **how: Any) -> None:
    """Write a shard again with its receipt, and other values in some rows of a column."""
    table = pq.read_table(uri)
    column_values = [values.get(i, value) for i, value in enumerate(table[column].to_pylist())]
    index = table.schema.get_field_index(column)
    pq.write_table(table.set_column(index, table.schema.field(index), pa.array(column_values, pa.string())), uri, **how)


def rows_of(*rows: tuple[str, str, str, str]) -> pa.Table:
    """Contents of one view each: object_id, group, split, mesh_sha256."""
    return pa.Table.from_pylist([dict(zip(CONTENTS.names, (*row, 1), strict=True)) for row in rows], CONTENTS)


def test_a_rendering_is_read_as_one_row_per_object(manifest):
    """Each object has one row, with its labels and its number of views, and there is no fault."""
    contents = contents_of(manifest)

    assert {row["object_id"]: row for row in contents.rows.to_pylist()} == {
        object_id: {
            "object_id": object_id,
            "group": f"family-{object_id}",
            "split": split,
            "mesh_sha256": hashlib.sha256(object_id.encode()).hexdigest(),
            "views": VIEWS,
        }
        for object_id, split in SPLIT_OF.items()
    }
    assert (len(contents.rows), contents.rows.schema, contents.rejected) == (len(SPLIT_OF), CONTENTS, 1)
    assert find_mismatch(manifest, contents) is None
    assert find_leaks(contents.rows) == []
    refuse_missing_splits(manifest, ("train", "val", "test"))
    refuse_leaks(manifest, [])
    refuse_mismatch(manifest, contents)


@pytest.mark.parametrize("how", [{"row_group_size": 1}, {"row_group_size": 4}, {}, {"write_statistics": False}])
def test_how_a_shard_groups_its_rows_does_not_matter(manifest, how):
    """Without usable statistics the columns are read, with the same result."""
    before = contents_of(manifest)
    for uri in manifest.shard_uris:
        rewrite(uri, "split", {}, **how)
    after = contents_of(manifest)

    assert after.rows.equals(before.rows) or sorted_rows(after) == sorted_rows(before)
    assert (after.rejected, after.faults) == (1, ())


def sorted_rows(contents: Contents) -> list[dict[str, Any]]:
    return sorted(contents.rows.to_pylist(), key=str)


def test_a_shard_without_views_has_no_rows(tmp_path):
    """A shard whose members were all rejected has no rows and no fault."""
    write_shard(str(tmp_path / "empty"), [], Receipt("empty", 0, rejects=(REJECT,)), PAIR)
    contents = read_contents(str(tmp_path), ["empty"])

    assert (contents.rows, contents.rejected, contents.faults) == (CONTENTS.empty_table(), 1, ())


def test_parts_add_up(manifest):
    """Reading by shard gives the same contents as reading all at once."""
    parts = Contents.concat([read_contents(manifest.uri, [name]) for name in manifest.shards])

    assert (sorted_rows(parts), parts.rejected) == (sorted_rows(contents_of(manifest)), 1)
    assert len(Contents.concat([]).rows) == 0


def naive_leaks(rows: list[dict[str, str]]) -> list[Leak]:
    """The definition of a leak, in plain Python."""
    leaks = []
    for kind, column in KINDS.items():
        for value in sorted({row[column] for row in rows}):
            members = {(row["object_id"], row["split"]) for row in rows if row[column] == value}
            others = kind == "object" or len({object_id for object_id, _ in members}) > 1
            if len({split for _, split in members}) > 1 and others:
                leaks.append(Leak(kind, value, tuple(sorted(members))))
    return leaks


SMALL_ROWS = st.lists(
    st.fixed_dictionaries(
        {name: st.sampled_from("abcd") for name in ("object_id", "group", "mesh_sha256")}
        | {"split": st.sampled_from(["train", "val", "test"]), "views": st.just(1)}
    ),
    max_size=8,
)


@settings(deadline=None)
@given(SMALL_ROWS, st.integers(0, 8))
def test_the_leaks_are_those_of_the_definition(rows, cut):
    """For all rows and chunks, the search has the result of the definition."""
    table = pa.concat_tables(pa.Table.from_pylist(part, CONTENTS) for part in (rows[:cut], rows[cut:]))

    assert find_leaks(table) == naive_leaks(rows)


def test_duplicates_within_one_split_are_not_a_leak():
    """Duplicates within one split do not make a score too good."""
    assert find_leaks(rows_of(("a", "a", "train", "same"), ("b", "b", "train", "same"))) == []
    assert find_leaks(rows_of(("a", "a", "train", "same"), ("b", "b", "val", "same"))) == [
        Leak("mesh", "same", (("a", "train"), ("b", "val")))
    ]


def test_the_search_is_fast():
    """A quarter of a million objects take a second; a Python loop over objects would exceed the limit."""
    names = pc.cast(pa.array(np.arange(250_000)), pa.string())
    split = pc.if_else(pc.less(pa.array(np.arange(250_000) % 10), 8), "train", "val")
    meshes = pc.replace_with_mask(names, pc.is_in(names, pa.array(["7", "8"])), pa.array(["one", "one"]))
    columns = [names, names, split, meshes, pa.array(np.full(250_000, 9))]
    begun = time.perf_counter()
    leaks = find_leaks(pa.table(columns, schema=CONTENTS))

    assert leaks == [Leak("mesh", "one", (("7", "train"), ("8", "val")))]
    assert time.perf_counter() - begun < 15


def message(refuse: Any, *args: Any) -> str:
    """The error message, which must be one line."""
    with pytest.raises(DataError) as caught:
        refuse(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_leak_is_refused_in_one_line(manifest):
    """The message has the file, the leak, its splits, the number of others and the fix."""
    twice = rows_of(("a", "a", "train", "f00"), ("b", "b", "val", "f00"), ("c", "c", "val", "f00"))
    other = rows_of(("d", "d", "train", "f01"), ("e", "e", "test", "f01"))
    leaks = find_leaks(pa.concat_tables([twice, other]))

    assert message(refuse_leaks, manifest, leaks) == (
        f"{manifest.uri}/manifest.json: the split leaks: mesh f00 is in train (a) and in val (b and 1 more) "
        "(and 1 more leak); give these objects one `group` in landmarks.csv, or keep one of them, "
        "and run `featurelib render` again"
    )


def test_one_view_in_another_split_is_a_leak(manifest):
    """An object whose views disagree is named, with the shard to delete."""
    uri = manifest.shard_of("head-05")
    at = pq.read_table(uri)["object_id"].to_pylist().index("head-05") + 1
    rewrite(uri, "split", {at: "train"}, row_group_size=VIEWS)
    leaks = find_leaks(contents_of(manifest).rows)

    assert leaks == [Leak("object", "head-05", (("head-05", "train"), ("head-05", "val")))]
    assert message(refuse_leaks, manifest, leaks) == (
        f"{manifest.uri}/manifest.json: the split leaks: object head-05 is in train and in val; "
        f"delete {Path(uri).name} and run `featurelib render` again"
    )


def test_a_group_in_two_splits_is_a_leak(manifest):
    """A family in training and validation is refused, even if no object is in both."""
    for name in ("head-04", "head-05"):
        uri = manifest.shard_of(name)
        at = [i for i, found in enumerate(pq.read_table(uri)["object_id"].to_pylist()) if found == name]
        rewrite(uri, "group", dict.fromkeys(at, "kin"), row_group_size=VIEWS)

    leaks = find_leaks(contents_of(manifest).rows)

    assert leaks == [Leak("group", "kin", (("head-04", "train"), ("head-05", "val")))]
    assert "group kin is in train (head-04) and in val (head-05); delete shard-" in message(
        refuse_leaks, manifest, leaks
    )


@pytest.mark.parametrize(
    ("corrupt", "words"),
    [
        (lambda one, other: shutil.copy(other, one), "holds the shard shard-1.parquet"),
        (lambda one, other: rewrite(one, "split", dict.fromkeys(range(99), "val")), "but its receipt has"),
        (lambda one, other: pq.write_table(pq.read_table(one).replace_schema_metadata(), one), "has no receipt"),
        (lambda one, other: pq.write_table(pq.read_table(one)[1:], one), "but its receipt has"),
    ],
    ids=["another shard", "other splits", "no receipt", "a row less"],
)
def test_an_inconsistent_shard_is_refused(manifest, corrupt, words):
    """The line names the shard, its fault and the fix."""
    one, other = (f"{manifest.uri}/shard-{i}.parquet" for i in range(2))
    corrupt(one, other)
    line = message(refuse_mismatch, manifest, contents_of(manifest))

    assert line.startswith(f"{one}: ")
    assert words in line
    assert line.endswith("; delete it and run `featurelib render` again")


def test_more_shards_than_one_are_counted(manifest):
    """The first is named, the others are counted."""
    for uri in manifest.shard_uris[1:]:
        shutil.copy(manifest.shard_uris[0], uri)

    assert "shard-1.parquet: holds the shard shard-0.parquet (and 2 more shards); delete" in message(
        refuse_mismatch, manifest, contents_of(manifest)
    )


@pytest.mark.parametrize("key", ["objects", "views", "rejected"])
def test_a_manifest_with_other_counts_is_refused(manifest, key, tmp_path):
    """If all shards are consistent, the fix is to delete the manifest."""
    file = Path(manifest.uri) / "manifest.json"
    values = json.loads(file.read_text())
    values[key] = 7 if key == "rejected" else values[key] | {"train": 7}
    file.write_text(json.dumps(values))
    manifest = open_renders(str(tmp_path), "orthographic")
    line = message(refuse_mismatch, manifest, contents_of(manifest))

    assert line.startswith(f"{file}: {key} ")
    assert re.search(r"\b7\b.*, but its shards hold .*; delete it and run `featurelib render` again$", line)


@pytest.mark.parametrize("content", [None, b"", b"PAR1, but no more"])
def test_a_missing_or_damaged_shard_is_named(manifest, content):
    """A missing shard is named before anything else is checked."""
    victim = Path(manifest.shard_uris[1])
    victim.unlink()
    if content is not None:
        victim.write_bytes(content)

    assert message(contents_of, manifest).startswith(
        f"{victim}: {'not a readable' if content is not None else 'no such'}"
    )


def test_a_table_with_other_columns_is_not_a_shard(manifest):
    """A Parquet file without the columns of a shard is named like a damaged one."""
    pq.write_table(pa.table({"a": [1]}), manifest.shard_uris[0])

    assert "shard-0.parquet: not a readable shard (no column group, mesh_sha256, object_id, split)" in message(
        contents_of, manifest
    )


@pytest.mark.parametrize("column", ["group", "split", "mesh_sha256"])
def test_a_missing_label_is_an_error(manifest, column):
    """A null in a required column is an error."""
    rewrite(manifest.shard_uris[0], column, {1: None}, row_group_size=VIEWS)

    assert f"shard-0.parquet: not a readable shard (column {column} has nulls)" in message(contents_of, manifest)


def test_a_split_without_views_is_refused(manifest):
    """The line has the counts of the other splits."""
    bare = Manifest(**{**vars(manifest), "views": {"train": 9}, "objects": {"train": 3}})
    refuse_missing_splits(bare, ("train",))

    assert message(refuse_missing_splits, bare, ("train", "val")) == (
        f"{manifest.uri}/manifest.json: no views in the val split (objects: train 3); label more objects or set "
        "`split` in landmarks.csv, and run `featurelib render` again"
    )


def test_the_fixture_has_all_splits(manifest):
    """No shard is empty, and no split is empty."""
    assert Counter(manifest.objects) == Counter(SPLIT_OF.values())
    assert all(pq.read_metadata(uri).num_rows for uri in manifest.shard_uris)
