"""The audit before a training, on real renderings."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.leakage import CONTENTS
from featurelib.datasets.schemas import shard_schema
from featurelib.datasets.shards import Manifest, Receipt, RenderSpec, commit, encode_png, open_renders, write_shard
from featurelib.datasets.synthetic import write_dataset
from featurelib.errors import DataError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Alignment, LandmarkSet
from featurelib.runtime import cli
from jobs.render import RenderConfig, render
from jobs.workers.leakage import SHARDS_IN_PROCESS, audit_renders, gather_contents
from jobs.workers.near_duplicates import near_duplicates

PAIR = LandmarkSet.single_pair("ear_tip")


def label(folder, **columns):
    """Add columns to a dataset's landmarks.csv."""
    header, *rows = (folder / "landmarks.csv").read_text().splitlines()
    lines = [",".join([header, *columns])]
    lines += [",".join([row, *values]) for row, values in zip(rows, zip(*columns.values(), strict=True), strict=True)]
    (folder / "landmarks.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four bodies: two train, two validate."""
    folder = tmp_path_factory.mktemp("four")
    write_dataset(folder, 4)
    return folder


@pytest.fixture
def dataset(four, tmp_path):
    """A copy of the bodies that a test may corrupt."""
    return Path(shutil.copytree(four, tmp_path / "four"))


def rendered(dataset, run, projection="orthographic"):
    """Render, and return the manifest."""
    render(RenderConfig(dataset=str(dataset), run=str(run), projections=(projection,), image_size=32))
    return open_renders(str(run), projection)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_rendering_without_faults_passes(cluster, dataset, tmp_path, projection):
    """A rendering without faults passes."""
    label(dataset, split=("train", "train", "val", "val"))

    audit_renders(rendered(dataset, tmp_path, projection))


def test_a_mesh_in_two_splits_is_refused_until_it_is_in_one_group(cluster, dataset, tmp_path):
    """The same file under two names in different splits is a leak, and the fix in the message works."""
    labels = (dataset / "landmarks.csv").read_text()
    label(dataset, split=("train", "train", "val", "val"))
    shutil.copy(dataset / "meshes/body-00001.ply", dataset / "meshes/body-00002.ply")
    manifest = rendered(dataset, tmp_path)
    with pytest.raises(
        DataError,
        match=r"^.*/orthographic/manifest\.json: the split leaks: mesh [0-9a-f]{64} is in train \(body-00001\) and in "
        r"val \(body-00002\); give these objects one `group` in landmarks\.csv, or keep .* `featurelib render` again$",
    ):
        audit_renders(manifest)

    (dataset / "landmarks.csv").write_text(labels)
    label(dataset, group=("a", "twins", "twins", "b"), split=("train", "", "train", "val"))
    audit_renders(rendered(dataset, tmp_path))


def test_a_changed_shard_is_refused_until_it_is_rendered_again(cluster, dataset, tmp_path):
    """One view in another split is a leak, and deleting its shard, the fix in the message, works."""
    label(dataset, split=("train", "train", "val", "val"))
    manifest = rendered(dataset, tmp_path)
    (shard,) = manifest.shard_uris
    table = pq.read_table(shard)
    splits = ["val", *table["split"].to_pylist()[1:]]
    schema = shard_schema(PAIR)
    index = schema.get_field_index("split")
    pq.write_table(table.set_column(index, schema.field(index), [splits]), shard, row_group_size=9)
    with pytest.raises(
        DataError, match=r"object body-00000 is in train and in val; delete shard-00000-\w+\.parquet and"
    ):
        audit_renders(manifest)

    Path(shard).unlink()
    with pytest.raises(DataError, match=r"shard-00000-\w+\.parquet: no such file"):
        audit_renders(manifest)
    audit_renders(rendered(dataset, tmp_path))


def test_a_manifest_with_other_counts_is_refused_until_it_is_written_again(cluster, dataset, tmp_path):
    """Deleting the manifest and rendering again, the fix in the message, works."""
    label(dataset, split=("train", "train", "val", "val"))
    manifest = rendered(dataset, tmp_path)
    file = Path(manifest.uri) / "manifest.json"
    file.write_text(file.read_text().replace('"train": 18', '"train": 27'))
    with pytest.raises(
        DataError, match=r"manifest\.json: views train 27, val 18, but its shards hold train 18, val 18;"
    ):
        audit_renders(open_renders(str(tmp_path), "orthographic"))

    file.unlink()
    audit_renders(rendered(dataset, tmp_path))


def test_a_rendering_without_a_validation_split_is_refused(cluster, dataset, tmp_path):
    """Training needs both splits; a caller may require others."""
    label(dataset, split=("train",) * 4)
    manifest = rendered(dataset, tmp_path)
    with pytest.raises(DataError, match=r"manifest\.json: no views in the val split \(objects: train 4\)"):
        audit_renders(manifest)

    audit_renders(manifest, splits=("train",))


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Manifest:
    """More shards than are read in this process, of one object each."""
    folder = tmp_path_factory.mktemp("many") / "renders" / "orthographic"
    row = dict.fromkeys(shard_schema(PAIR).names) | {"view": 0, "png": encode_png(np.zeros((8, 8), np.uint8))}
    receipts = []
    for i in range(2 ** SHARDS_IN_PROCESS.bit_length()):
        row |= dict.fromkeys(("object_id", "group", "mesh_sha256"), f"head-{i}")
        row["split"] = ("train", "val")[i % 2]
        name = f"shard-{i:05d}.parquet"
        receipts.append(write_shard(str(folder / name), [row], Receipt(name, i), PAIR))
    spec = RenderSpec("mm", Alignment(), "orthographic", 200.0, 8, DEFAULT_RIG, "raster")
    return commit(str(folder), "heads", PAIR, spec, receipts, len(receipts))


def test_many_shards_are_read_on_the_cluster(cluster, many):
    """Each shard is read once, and the audit passes."""
    contents = gather_contents(many)

    assert sorted(contents.rows["object_id"].to_pylist()) == sorted(f"head-{i}" for i in range(len(many.shards)))
    audit_renders(many)


def test_an_error_of_a_task_ends_the_command_with_one_line(cluster, many, capsys):
    """The command prints the error of a damaged shard in one line, without a traceback."""
    victim = Path(many.shard_uris[-1])
    content = victim.read_bytes()
    victim.write_bytes(content[:100])
    try:
        with pytest.raises(SystemExit) as ended:
            cli.run(cli.single_command(lambda: audit_renders(many), "audit"), [])
    finally:
        victim.write_bytes(content)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]

    assert ended.value.code == 2
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {victim}: not a readable shard")


def test_two_scans_of_one_object_are_near_duplicates(cluster, tmp_path):
    """A rotated and rounded copy of a training object in the test split is named; copies in one split or file are not.

    An unreadable mesh is like no other.
    """
    write_dataset(tmp_path, 14)
    turn = Rotation.from_rotvec([3, 5, 2], degrees=True).as_matrix()
    for copy, original in {3: 2, 5: 4}.items():
        mesh = trimesh.load(tmp_path / f"meshes/body-{original:05d}.ply", process=False)
        trimesh.Trimesh((mesh.vertices @ turn.T).round(1), mesh.faces).export(tmp_path / f"meshes/body-{copy:05d}.ply")
    (tmp_path / "meshes/body-00012.ply").write_bytes(b"ply")
    splits = {3: "test", 12: "test", 13: "test"}
    columns = {
        "object_id": [f"body-{i:05d}" for i in range(14)],
        "group": [f"body-{i:05d}" for i in range(14)],
        "split": [splits.get(i, "train") for i in range(14)],
        "mesh_sha256": [str(i) for i in range(14)],
        "views": [9] * 14,
    }

    twins = near_duplicates(open_dataset(str(tmp_path)), pa.table(columns, schema=CONTENTS))

    assert twins == ["body-00002 (train) has the same shape as body-00003 (test)"]
