import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.schemas import shard_schema
from featurelib.datasets.shards import Receipt, encode_png, read_receipt, read_views, write_shard
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

VIEWS = 3
PAIR = LandmarkSet.single_pair("tip")
SPLIT_OF = {"a": "train", "b": "test", "c": "train", "d": "val"}
REJECT = {"object_id": "e", "stage": "load", "reason": "meshes/e.ply: the file is empty"}
GREY = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)


def view_row(object_id: str, view: int, pixels: np.ndarray = GREY) -> dict[str, Any]:
    """A row whose numbers are exact in the types of the file."""
    return {
        "object_id": object_id,
        "group": object_id,
        "split": SPLIT_OF[object_id],
        "view": view,
        "projection": "orthographic",
        "png": encode_png(pixels),
        "width": 8,
        "height": 8,
        "landmarks_xy": [0.25, view / 4, 0.75, view / 4],
        "landmarks_visible": [True, view == 1],
        "landmarks_absent": [False, False],
        "near": [0],
        "landmarks_mm": [0.1, 0.2, 0.3, -0.1, 0.2, 0.3],
        "centre_mm": [1.0, 2.0, 3.0],
        "object_from_camera": [float(i) for i in range(16)],
        "half_height_mm": 100.0,
        "yfov_deg": None,
        "mesh_sha256": "abc",
    }


ROWS = [view_row(object_id, view) for object_id in SPLIT_OF for view in range(VIEWS)]


@pytest.fixture
def shard(tmp_path) -> str:
    """A shard of four objects in three splits; a fifth member was rejected."""
    uri = str(tmp_path / "shard-1.parquet")
    write_shard(uri, ROWS, Receipt("shard-1.parquet", 3, rejects=(REJECT,)), PAIR)
    return uri


def test_a_shard_is_read_as_it_was_written(shard):
    """The written rows are read in order, with the columns and types of schemas.shard_schema."""
    assert read_views(shard) == ROWS
    assert pq.read_schema(shard).remove_metadata() == shard_schema(PAIR)


def test_the_same_rows_are_the_same_bytes(shard, tmp_path):
    """Writing a shard again gives the same bytes."""
    receipt = Receipt("shard-1.parquet", 3, rejects=(REJECT,))
    write_shard(str(tmp_path / "again"), [dict(row) for row in ROWS], receipt, PAIR)

    assert (tmp_path / "again").read_bytes() == Path(shard).read_bytes()


def test_the_receipt_has_counts_and_is_in_the_footer(shard, tmp_path):
    """Objects and views are counted by split; a later run reads the receipt that the writer returned."""
    written = write_shard(str(tmp_path / "again"), ROWS, Receipt("shard-1.parquet", 3, rejects=(REJECT,)), PAIR)

    assert (
        written
        == read_receipt(shard)
        == Receipt(
            "shard-1.parquet",
            3,
            objects={"test": 1, "train": 2, "val": 1},
            views={"test": VIEWS, "train": 2 * VIEWS, "val": VIEWS},
            channels=1,
            rejects=(REJECT,),
        )
    )


def test_a_receipt_survives_json():
    """A receipt consists of plain values."""
    receipt = Receipt("s", 1, {"train": 2}, {"train": 6}, 3, (REJECT,))

    assert Receipt.from_dict(json.loads(json.dumps(receipt.to_dict()))) == receipt


def test_a_shard_without_views_is_a_shard(tmp_path):
    """A shard whose members were all rejected is a file with their rejects, so that it is not made again."""
    uri = str(tmp_path / "empty")
    write_shard(uri, [], Receipt("empty", 0, rejects=(REJECT,)), PAIR)

    assert read_views(uri) == []
    assert read_receipt(uri) == Receipt("empty", 0, rejects=(REJECT,))


def test_one_colour_image_makes_a_colour_shard(tmp_path):
    """channels is the largest number of channels of an image."""
    colour = np.stack([GREY, GREY, 255 - GREY], axis=-1)
    rows = [view_row("a", 0), view_row("b", 0, colour)]

    assert write_shard(str(tmp_path / "shard"), rows, Receipt("shard", 0), PAIR).channels == 3


def test_a_row_group_is_an_object(shard):
    """Reading one object reads its row group and skips the others by their statistics."""
    file = pq.ParquetFile(shard)

    ids = [set(file.read_row_group(i, ["object_id"])["object_id"].to_pylist()) for i in range(file.num_row_groups)]
    assert ids == [{"a"}, {"b"}, {"c"}, {"d"}]
    statistics = file.metadata.row_group(1).column(0).statistics
    assert (statistics.min, statistics.max) == ("b", "b")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"object_id": "b"}, lambda row: row["object_id"] == "b"),
        ({"split": "train"}, lambda row: row["split"] == "train"),
        ({"view": 2}, lambda row: row["view"] == 2),
        ({"view": 0}, lambda row: row["view"] == 0),
        ({"object_id": "c", "view": 1}, lambda row: row["object_id"] == "c" and row["view"] == 1),
        ({"object_id": "a", "split": "test"}, lambda row: False),
        ({"object_id": "nobody"}, lambda row: False),
    ],
)
def test_rows_and_columns_can_be_selected(shard, wanted, expected):
    """Rows are selected by object, split and view, columns by name, also if a filter is not among the columns."""
    rows = [row for row in ROWS if expected(row)]

    assert read_views(shard, **wanted) == rows
    assert read_views(shard, **wanted, columns=("png", "near")) == [
        {"png": row["png"], "near": row["near"]} for row in rows
    ]


@pytest.mark.parametrize("read", [read_views, read_receipt])
@pytest.mark.parametrize("content", [None, b"", b"PAR1, but no more"])
def test_a_missing_or_damaged_shard_is_named(tmp_path, read, content):
    """The error is one line with the file and the fix."""
    uri = tmp_path / "shard-1.parquet"
    if content is not None:
        uri.write_bytes(content)

    with pytest.raises(DataError, match=r"shard-1\.parquet: not a readable shard .*featurelib render"):
        read(str(uri))


def test_rows_of_some_objects_are_read(shard):
    """Their rows are those of the file in its order; an object that the shard lacks has none."""
    rows = read_views(shard, object_ids=["d", "b", "x"], columns=["object_id", "view"])

    assert rows == [{"object_id": object_id, "view": view} for object_id in "bd" for view in range(VIEWS)]
    assert read_views(shard, object_ids=[]) == []
