from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.schemas import vectors_schema
from featurelib.datasets.shards import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, SIDES, Alignment, mirror_pair
from featurelib.models.lifter.rays import triangulate_landmarks
from featurelib.models.lifter.vectors import Vectors, read_config, read_vectors, vectors_uri, write_vectors

CONFIG = {"projection": "orthographic", "renders": "abc", "detector": "def"}
NUM_VIEWS = 5


def random_vectors(num_objects: int = 4) -> Vectors:
    """Return vectors of numbers that float32 represents exactly, sorted by object."""
    rng = np.random.default_rng(0)

    def eighths(*shape: int) -> np.ndarray:
        return rng.integers(-800, 800, shape) / 8

    return Vectors(
        np.array([f"head-{i}" for i in range(num_objects)]),
        np.array(["train", "val", "test", "train"][:num_objects]),
        eighths(num_objects, NUM_VIEWS, 2),
        eighths(num_objects, NUM_VIEWS, 2),
        eighths(num_objects, 2, 3),
        eighths(num_objects, 3),
        eighths(num_objects, NUM_VIEWS, 2, 2),
        eighths(num_objects, NUM_VIEWS, 2),
        eighths(num_objects, NUM_VIEWS, 2),
    )


def rows_of(vectors: Vectors) -> list[dict[str, Any]]:
    return [
        {
            "object_id": str(vectors.object_ids[i]),
            "split": str(vectors.splits[i]),
            "xy": vectors.xy[i].ravel().tolist(),
            "xy_true": vectors.xy_true[i].ravel().tolist(),
            "target_mm": vectors.landmarks_mm[i].ravel().tolist(),
            "centre_mm": vectors.centre_mm[i].tolist(),
            **{f"{side}_xy": vectors.landmarks_xy[i, :, k].ravel().tolist() for k, side in enumerate(SIDES)},
            **{f"{side}_spread": vectors.spread[i, :, k].tolist() for k, side in enumerate(SIDES)},
            **{f"{side}_visible": vectors.visible[i, :, k].tolist() for k, side in enumerate(SIDES)},
        }
        for i in range(len(vectors))
    ]


def assert_same(vectors: Vectors, expected: Vectors) -> None:
    for field in fields(Vectors):
        found, wanted = getattr(vectors, field.name), getattr(expected, field.name)
        assert np.array_equal(found, wanted, equal_nan=found.dtype.kind == "f"), field.name


def test_reading_returns_the_written_vectors(tmp_path):
    """Reading returns the objects, sorted by id for any order of the rows, and the configuration."""
    vectors = random_vectors()
    uri = vectors_uri(str(tmp_path), "orthographic")

    write_vectors(uri, rows_of(vectors)[::-1], NUM_VIEWS, CONFIG)

    assert_same(read_vectors(str(tmp_path), "orthographic"), vectors)
    assert read_config(uri) == CONFIG
    assert pq.read_schema(uri).remove_metadata() == vectors_schema(NUM_VIEWS)


def test_vectors_may_be_empty(tmp_path):
    """If every object was rejected, the table has no rows."""
    write_vectors(vectors_uri(str(tmp_path), "perspective"), [], NUM_VIEWS, CONFIG)

    vectors = read_vectors(str(tmp_path), "perspective")

    assert len(vectors) == 0
    assert vectors.xy.shape == (0, NUM_VIEWS, 2)
    assert vectors.landmarks_mm.shape == (0, 2, 3)


def test_missing_vectors_are_rejected(tmp_path):
    """The message has the missing file and the command that makes it; its configuration is empty."""
    with pytest.raises(DataError, match=r"vectors/perspective\.parquet: no vectors; run .*--projection perspective"):
        read_vectors(str(tmp_path), "perspective")
    assert read_config(vectors_uri(str(tmp_path), "perspective")) == {}


def test_where_returns_the_objects_of_a_split():
    """Rows keep their order, and the splits together are all objects."""
    vectors = random_vectors()

    assert vectors.where("train").object_ids.tolist() == ["head-0", "head-3"]
    assert (vectors.where("train").xy == vectors.xy[[0, 3]]).all()
    assert sum(len(vectors.where(split)) for split in ("train", "val", "test")) == len(vectors)
    assert len(vectors.where("nothing")) == 0


def test_the_target_is_relative_to_the_centre():
    """Target plus centre are the landmarks."""
    vectors = random_vectors()

    assert (vectors.target_mm + vectors.centre_mm[:, None, :] == vectors.landmarks_mm).all()


def test_mirroring_twice_is_the_identity():
    """After adding mirrors twice, the last n of 4 n objects are the twice mirrored ones: the first n again."""
    vectors = random_vectors()

    twice = vectors.with_mirrors().with_mirrors()

    n = len(vectors)
    assert len(twice) == 4 * n
    for block in (slice(0, n), slice(3 * n, 4 * n)):
        assert_same(Vectors(**{field.name: getattr(twice, field.name)[block] for field in fields(Vectors)}), vectors)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_mirrored_object_has_the_mirrored_views(projection):
    """The mirrored landmarks project to the mirrored rows, and triangulate to their target."""
    spec = RenderSpec("mm", Alignment(), projection, 300.0, 64, DEFAULT_RIG, "raster")
    centre_mm = np.array([5.0, 6.0, 7.0])
    landmarks_mm = centre_mm + np.array([(80.0, 10.0, -20.0), (-70.0, 12.0, -16.0)])

    def near(landmarks_mm: np.ndarray, in_front: str) -> np.ndarray:
        cameras = spec.cameras(centre_mm)
        sides = [SIDES.index(view.near_side or in_front) for view in DEFAULT_RIG.views]
        return np.stack([camera.project(landmarks_mm[side]) for camera, side in zip(cameras, sides, strict=True)])

    xy = near(landmarks_mm, "right")[None]  # in the front view the right one is near; its mirror image is the left one
    vectors = Vectors(np.array(["a"]), np.array(["train"]), xy, xy, landmarks_mm[None], centre_mm[None])

    mirrored = vectors.with_mirrors()

    assert mirrored.landmarks_mm[1] == pytest.approx(mirror_pair(landmarks_mm, centre_x_mm=5.0))
    assert mirrored.xy[1] == pytest.approx(near(mirrored.landmarks_mm[1], "left"))
    assert mirrored.xy_true[1] == pytest.approx(mirrored.xy[1])
    assert triangulate_landmarks(mirrored.xy[1], centre_mm, spec) == pytest.approx(mirrored.landmarks_mm[1], abs=1e-6)
