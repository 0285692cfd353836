import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.schemas import REJECTS, objects_schema
from featurelib.datasets.shards import Manifest, Receipt, commit, open_renders, plan_shards, renders_uri
from featurelib.datasets.splits import EVERY
from featurelib.errors import ConflictError, DataError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import storage

PAIR = LandmarkSet.single_pair("tragus")


def reject(object_id: str) -> dict[str, str]:
    return {"object_id": object_id, "stage": "load", "reason": f"meshes/{object_id}.ply: the file is empty"}


RECEIPTS = (
    Receipt("shard-0.parquet", 0, {"train": 3, "val": 1}, {"train": 27, "val": 9}, 1, (reject("f"),)),
    Receipt("shard-1.parquet", 1, {}, {}, 0),
    Receipt("shard-2.parquet", 2, {"test": 1, "train": 1}, {"test": 9, "train": 9}, 3, (reject("e"), reject("a"))),
)
"""Six objects rendered and three rejected."""


@pytest.fixture
def uri(tmp_path) -> str:
    """The folder of a run's orthographic images; it does not exist yet."""
    return renders_uri(str(tmp_path), "orthographic")


def test_a_manifest_is_read_as_it_was_committed(uri, spec, tmp_path):
    """Opening the run gives the manifest that the commit returned: counts, spec and shards."""
    committed = commit(uri, "s3://data/heads", PAIR, spec, RECEIPTS, 9)

    assert open_renders(str(tmp_path), "orthographic") == committed
    assert committed == Manifest(
        uri=str(tmp_path / "renders" / "orthographic"),
        dataset="s3://data/heads",
        landmarks=PAIR,
        spec=spec,
        objects={"test": 1, "train": 4, "val": 1},
        views={"test": 9, "train": 36, "val": 9},
        rejected=3,
        channels=3,
        shards=("shard-0.parquet", "shard-1.parquet", "shard-2.parquet"),
    )
    assert committed.shard_uris == [f"{uri}/shard-{i}.parquet" for i in range(3)]


def test_the_order_in_which_shards_end_does_not_matter(uri, spec):
    """The same receipts in another order make the same files."""
    commit(uri, "d", PAIR, spec, RECEIPTS, 9)
    first = {entry.name: storage.read_bytes(f"{uri}/{entry.name}") for entry in storage.list_files(uri)}
    commit(uri, "d", PAIR, spec, RECEIPTS[::-1], 9)

    assert {name: storage.read_bytes(f"{uri}/{name}") for name in first} == first
    assert set(first) == {"manifest.json", "rejects.parquet"}


def test_each_reject_is_a_row(uri, spec):
    """rejects.parquet has each object without views, sorted, with its reason."""
    commit(uri, "d", PAIR, spec, RECEIPTS, 9)

    table = pq.read_table(f"{uri}/rejects.parquet")
    assert table.schema == REJECTS
    assert table.to_pylist() == [reject("a"), reject("e"), reject("f")]


def test_no_rejects_are_a_table_too(uri, spec):
    """Without rejects the table has its columns and no row."""
    commit(uri, "d", PAIR, spec, [replace(one, rejects=()) for one in RECEIPTS], 6)

    assert pq.read_table(f"{uri}/rejects.parquet") == pa.Table.from_pylist([], schema=REJECTS)


@pytest.mark.parametrize("objects_in", [8, 10])
def test_all_objects_are_counted(uri, spec, objects_in):
    """The number of objects is rendered plus rejected; otherwise nothing is written, and the error has the counts."""
    with pytest.raises(DataError, match=f"{objects_in} objects in, but 6 rendered and 3 rejected"):
        commit(uri, "d", PAIR, spec, RECEIPTS, objects_in)

    assert not Path(uri).exists()


@pytest.mark.parametrize("buckets", [(0, 1, 1), (0, 2, 3), (1, 2, 3)])
def test_every_bucket_has_one_shard(uri, spec, buckets):
    """Objects are found by their bucket, so a missing or duplicate one is an error and nothing is written."""
    receipts = [replace(one, bucket=bucket) for one, bucket in zip(RECEIPTS, buckets, strict=True)]

    with pytest.raises(DataError, match="expected one of each, 0 to 2"):
        commit(uri, "d", PAIR, spec, receipts, 9)

    assert not Path(uri).exists()


def test_an_object_is_found_in_its_shard(uri, spec):
    """The manifest gives the shard in which the plan put an object."""
    rows = [dict.fromkeys(objects_schema(2).names) | {"object_id": f"head-{i}"} for i in range(50)]
    plans = plan_shards(pa.Table.from_pylist(rows, schema=objects_schema(2)), PAIR, {"orthographic": spec}, 8)
    receipts = [Receipt(plan.names["orthographic"], plan.bucket, {"train": len(plan.objects)}) for plan in plans]

    manifest = commit(uri, "d", PAIR, spec, receipts[::-1], 50)

    for plan in plans:
        ids = plan.objects["object_id"].to_pylist()
        assert {manifest.shard_of(object_id) for object_id in ids} <= {f"{uri}/{plan.names['orthographic']}"}


def test_files_that_the_manifest_does_not_name_are_ignored(uri, spec, tmp_path):
    """A shard of an earlier rendering in the folder is not part of the dataset."""
    storage.write_bytes(f"{uri}/shard-old.parquet", b"")
    commit(uri, "d", PAIR, spec, RECEIPTS, 9)
    storage.write_bytes(f"{uri}/shard-new.parquet", b"")

    manifest = open_renders(str(tmp_path), "orthographic")

    assert manifest.shards == ("shard-0.parquet", "shard-1.parquet", "shard-2.parquet")


def test_a_folder_without_a_manifest_is_refused(uri, tmp_path):
    """Shards without a manifest are an unfinished rendering."""
    for name in ("shard-0.parquet", "rejects.parquet", ".manifest.json.x1"):
        storage.write_bytes(f"{uri}/{name}", b"")

    with pytest.raises(DataError, match=r"renders/orthographic: no manifest\.json.*featurelib render"):
        open_renders(str(tmp_path), "orthographic")


@pytest.mark.parametrize("schema", [0, 1, 2, None])
def test_a_manifest_of_another_version_is_refused(uri, spec, tmp_path, schema):
    """A manifest of another version is an error."""
    values = commit(uri, "d", PAIR, spec, RECEIPTS, 9).to_dict()
    storage.write_bytes(f"{uri}/manifest.json", json.dumps(values | {"schema": schema}).encode())

    with pytest.raises(
        DataError,
        match=rf"manifest\.json: written by another version of featurelib \(schema {schema}, this one reads 3\)",
    ):
        open_renders(str(tmp_path), "orthographic")


def test_the_content_hash_depends_on_the_shards_alone(uri, spec):
    """It changes with each shard, and not with the folder, the dataset's URI or the counts."""
    manifest = commit(uri, "d", PAIR, spec, RECEIPTS, 9)

    same = replace(manifest, uri="elsewhere", dataset="moved", rejected=0)
    other = replace(manifest, shards=(*manifest.shards[:2], "shard-9.parquet"))
    assert manifest.content_hash == same.content_hash != other.content_hash


def test_a_run_can_be_moved(uri, spec, tmp_path):
    """The manifest does not contain the folder: a copied run reads its own shards."""
    committed = commit(uri, "d", PAIR, spec, RECEIPTS, 9)
    (tmp_path / "moved").mkdir()
    (tmp_path / "renders").rename(tmp_path / "moved" / "renders")

    moved = open_renders(str(tmp_path / "moved"), "orthographic")

    assert moved == replace(committed, uri=str(tmp_path / "moved" / "renders" / "orthographic"))


def test_two_concurrent_runs_cannot_both_commit(uri, spec):
    """The second commit of other images is a conflict; a commit of the same images is not."""
    first = commit(uri, "d", PAIR, spec, RECEIPTS, 9, None)
    assert commit(uri, "d", PAIR, spec, RECEIPTS, 9, None) == first
    with pytest.raises(ConflictError, match="another run committed other images"):
        commit(uri, "elsewhere", PAIR, spec, RECEIPTS, 9, None)

    assert commit(uri, "elsewhere", PAIR, spec, RECEIPTS, 9, storage.tag(f"{uri}/manifest.json")) != first


def test_the_set_stands_in_the_manifest(uri, spec, tmp_path):
    """With its mirror, its texts and its hash."""
    landmarks = LandmarkSet(
        (("a", "b"),), ("nose",), ("scar",), "same", (("a", "nose"),), {"nose": "the tip of the nose"}
    )
    commit(uri, "d", landmarks, spec, RECEIPTS, 9)
    values = json.loads(storage.read_bytes(f"{uri}/manifest.json"))
    read = open_renders(str(tmp_path), "orthographic").landmarks

    assert (values["config"]["landmarks"], values["config"]["mirror"]) == (landmarks.to_dict(), "same")
    assert values["landmarks_hash"] == landmarks.hash == read.hash
    assert (read, read.outlines, read.definitions) == (landmarks, landmarks.outlines, landmarks.definitions)


def test_a_view_has_other_splits_and_the_same_shards(uri, spec, tmp_path):
    """It counts its objects by their new splits, is read as it was written, and finds the shards after a move."""
    manifest = commit(uri, "d", PAIR, spec, RECEIPTS, 9)
    splits = {"b": "val", "a": "train", "c": "train", "d": "test"}
    view = manifest.with_splits(splits, renders_uri(str(tmp_path / "folds" / "0"), "orthographic"))
    view.write()

    assert open_renders(str(tmp_path / "folds" / "0"), "orthographic") == view
    assert view.objects == {"test": 1, "train": 2, "val": 1}
    assert view.views == {split: len(spec.rig) * count for split, count in view.objects.items()}
    assert view.shard_uris == manifest.shard_uris
    assert view.shard_of("a") == manifest.shard_of("a")
    assert view.rows_of("train") == {"object_ids": ["a", "c"]}
    assert manifest.rows_of("train") == {"split": "train"}
    moved = storage.join(storage.absolute(str(tmp_path)), "moved")
    assert replace(view, uri=f"{moved}/folds/0/renders/orthographic").shards_uri == f"{moved}/renders/orthographic"


def test_a_view_in_a_bucket_finds_its_shards(spec):
    """The relative path is resolved within the bucket."""
    manifest = Manifest("s3://bucket/run/renders/p", "d", PAIR, spec, {}, {}, 0, 1, ("shard-0.parquet",))

    view = manifest.with_splits({"a": "train"}, "s3://bucket/run/folds/4/renders/p")

    assert view.shards_folder == "../../../../renders/p"
    assert view.shard_uris == ["s3://bucket/run/renders/p/shard-0.parquet"]


def test_other_splits_are_other_content(uri, spec):
    """What was trained on other splits is not up to date; the order in which they are given does not matter."""
    manifest = commit(uri, "d", PAIR, spec, RECEIPTS, 9)
    views = [manifest.with_splits(splits) for splits in ({"a": "train", "b": "val"}, {"b": "train", "a": "val"})]
    again = manifest.with_splits({"b": "val", "a": "train"})

    assert len({each.content_hash for each in (manifest, *views, again)}) == 3
    assert again == views[0]


def test_an_object_of_a_final_training_is_for_training_and_validation(uri, spec):
    """It counts in both splits, and its rows belong to both."""
    view = commit(uri, "d", PAIR, spec, RECEIPTS, 9).with_splits({"a": EVERY, "b": EVERY})

    assert view.objects == {"train": 2, "val": 2}
    assert view.rows_of("train") == view.rows_of("val") == {"object_ids": ["a", "b"]}
    assert view.rows_of("test") == {"object_ids": []}
