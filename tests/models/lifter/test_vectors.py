from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.schemas import vectors_schema
from featurelib.datasets.shards import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    Alignment,
    LandmarkSet,
    mirror_landmarks,
    mirror_permutation,
    near_in_slots,
)
from featurelib.models.detector.samples import near_landmarks
from featurelib.models.lifter.rays import triangulate_landmarks
from featurelib.models.lifter.vectors import (
    ARRAYS,
    Vectors,
    read_config,
    read_vectors,
    vectors_uri,
    write_vectors,
)

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
"""k = 6 landmarks in s = 4 slots."""

SETS = [PAIR, MIXED]
NUM_VIEWS = 5


def random_vectors(landmarks: LandmarkSet = PAIR, num_objects: int = 4) -> Vectors:
    """Return vectors of numbers that float32 represents exactly, sorted by object; larger sets lack some labels."""
    rng = np.random.default_rng(0)
    k, s = len(landmarks.names), len(landmarks.slots)

    def eighths(*shape: int) -> np.ndarray:
        return rng.integers(-800, 800, shape) / 8

    xy_true, landmarks_mm = eighths(num_objects, s, NUM_VIEWS, 2), eighths(num_objects, k, 3)
    if landmarks is not PAIR:
        landmarks_mm[1, 1], xy_true[1, 0] = np.nan, np.nan
    return Vectors(
        landmarks,
        np.array([f"head-{i}" for i in range(num_objects)]),
        np.array(["train", "val", "test", "train"][:num_objects]),
        eighths(num_objects, s, NUM_VIEWS, 2),
        xy_true,
        landmarks_mm,
        np.isnan(landmarks_mm).any(axis=-1),
        eighths(num_objects, 3),
        eighths(num_objects, NUM_VIEWS, k, 2),
        eighths(num_objects, NUM_VIEWS, k),
        eighths(num_objects, NUM_VIEWS, k),
    )


def config_of(landmarks: LandmarkSet) -> dict:
    return {"projection": "orthographic", "renders": "abc", **landmarks.to_record()}


def schema_of(landmarks: LandmarkSet) -> pa.Schema:
    return vectors_schema(landmarks, NUM_VIEWS)


def row_of(vectors: Vectors, i: int) -> pa.Table:
    """Return the table of one object."""
    columns = {
        "xy": vectors.xy,
        "xy_true": vectors.xy_true,
        "target_mm": vectors.landmarks_mm,
        "absent": vectors.absent,
        "centre_mm": vectors.centre_mm,
        "landmarks_xy": vectors.landmarks_xy,
        "landmarks_spread": vectors.spread,
        "landmarks_visible": vectors.visible,
    }
    row = {
        "object_id": str(vectors.object_ids[i]),
        "split": str(vectors.splits[i]),
        **{name: values[i].ravel().tolist() for name, values in columns.items()},
    }
    return pa.Table.from_pylist([row], schema=schema_of(vectors.landmarks))


def assert_same(vectors: Vectors, expected: Vectors) -> None:
    assert vectors.landmarks == expected.landmarks
    for name in ARRAYS:
        found, wanted = getattr(vectors, name), getattr(expected, name)
        assert np.array_equal(found, wanted, equal_nan=found.dtype.kind == "f"), name


@pytest.mark.parametrize("landmarks", SETS)
def test_reading_returns_the_written_vectors(tmp_path, landmarks):
    """Reading returns the set and the objects, sorted by id for any order of the rows, and the configuration."""
    vectors = random_vectors(landmarks)
    uri = vectors_uri(str(tmp_path), "orthographic")

    write_vectors(uri, [row_of(vectors, i) for i in (3, 1, 0, 2)], schema_of(landmarks), config_of(landmarks))

    assert_same(read_vectors(str(tmp_path), "orthographic"), vectors)
    assert read_config(uri) == config_of(landmarks)
    assert pq.read_schema(uri).remove_metadata() == schema_of(landmarks)


@pytest.mark.parametrize("landmarks", SETS)
def test_vectors_may_be_empty(tmp_path, landmarks):
    """If every object was rejected, the table has no rows."""
    write_vectors(vectors_uri(str(tmp_path), "perspective"), [], schema_of(landmarks), config_of(landmarks))

    vectors = read_vectors(str(tmp_path), "perspective")

    assert len(vectors) == 0
    assert vectors.xy.shape == (0, len(landmarks.slots), NUM_VIEWS, 2)
    assert vectors.landmarks_mm.shape == (0, len(landmarks.names), 3)


def test_one_pair_has_the_flat_form_of_a_view_after_the_other(tmp_path):
    """The column xy holds the near x and y of each view in rig order."""
    vectors = random_vectors()
    uri = vectors_uri(str(tmp_path), "orthographic")
    write_vectors(uri, [row_of(vectors, 0)], schema_of(PAIR), config_of(PAIR))

    assert pq.read_table(uri)["xy"][0].as_py() == vectors.xy[0, 0].ravel().tolist()
    assert len(pq.read_table(uri)["xy"][0].as_py()) == 2 * NUM_VIEWS


def test_vectors_of_another_version_are_rejected(tmp_path):
    """Without a set in the footer an older version wrote them."""
    write_vectors(vectors_uri(str(tmp_path), "perspective"), [], schema_of(PAIR), {"renders": "abc"})

    with pytest.raises(DataError, match=r"perspective\.parquet: written by another version"):
        read_vectors(str(tmp_path), "perspective")


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


@pytest.mark.parametrize("landmarks", [PAIR, replace(MIXED, unpaired=()), replace(MIXED, mirror="same")])
def test_mirroring_twice_is_the_identity(landmarks):
    """After adding mirrors twice, the last n of 4 n objects are the twice mirrored ones: the first n again."""
    vectors = random_vectors(landmarks)

    twice = vectors.with_mirrors().with_mirrors()

    n = len(vectors)
    assert len(twice) == 4 * n
    for first in (0, 3 * n):
        assert_same(twice.take(np.arange(first, first + n)), vectors)


def test_landmarks_without_a_mirror_image_are_nan_in_the_mirror():
    """With mirror `swap` nothing of an unpaired landmark is left; all else is there."""
    mirrored = random_vectors(MIXED).mirrored()

    scar = MIXED.index["scar"]
    for name, axis, at in (("xy", 1, 3), ("xy_true", 1, 3), ("landmarks_mm", 1, scar), ("spread", 2, scar)):
        values = np.moveaxis(getattr(mirrored, name), axis, 0)
        assert np.isnan(values[at]).all(), name
        assert np.isfinite(values[2]).all(), name
    assert np.isnan(mirrored.landmarks_mm[1, MIXED.index["a_left"]]).all()  # the label of a_right is missing
    assert mirrored.absent[1].tolist() == [True, False, False, False, False, False]


def test_a_set_without_a_mirror_image_is_not_doubled():
    """With mirror `none` each object is there once."""
    vectors = random_vectors(replace(MIXED, mirror="none"))

    assert vectors.mirrored() is None
    assert_same(vectors.with_mirrors(), vectors)


def test_a_near_position_stands_for_both_landmarks_of_a_pair():
    """If the detector finds near landmarks only, seen_xy has the slot's position for each of its landmarks."""
    vectors = random_vectors(MIXED)
    near_only = replace(vectors, landmarks_xy=np.nan)

    assert (vectors.seen_xy == vectors.landmarks_xy).all()
    for landmark, slot in enumerate((0, 0, 1, 1, 2, 3)):
        assert (near_only.seen_xy[:, :, landmark] == vectors.xy[:, slot]).all()


MIXED_MM = [(80, 10, -20), (-70, 12, -16), (30, 40, 60), (-33, 41, 58), (0, -5, 90), (20, -30, 70)]
"""One left and one right landmark are nearer to the camera of the front view."""


@pytest.mark.parametrize("mirror", ["swap", "same"])
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_mirrored_object_has_the_mirrored_views(projection, mirror):
    """The mirrored landmarks project to the mirrored positions, of each landmark and of the near ones."""
    landmarks = replace(MIXED, mirror=mirror)
    spec = RenderSpec("mm", Alignment(), projection, 300.0, 64, DEFAULT_RIG, "raster")
    centre_mm = np.array([5.0, 6.0, 7.0])
    vectors = projected(landmarks, centre_mm + np.array(MIXED_MM, float), centre_mm, spec)
    mirrored = vectors.mirrored()

    landmarks_mm = mirror_landmarks(vectors.landmarks_mm[0], mirror_permutation(landmarks), centre_x_mm=5.0)
    expected = projected(landmarks, landmarks_mm, centre_mm, spec)
    for name in ("landmarks_mm", "xy", "xy_true", "landmarks_xy"):
        np.testing.assert_allclose(getattr(mirrored, name), getattr(expected, name), atol=1e-9, err_msg=name)
    assert np.isnan(mirrored.landmarks_mm[0, 5]).all() == (mirror == "swap")


def projected(landmarks: LandmarkSet, landmarks_mm: np.ndarray, centre_mm: np.ndarray, spec: RenderSpec) -> Vectors:
    """Return the vectors of one object whose landmarks (k, 3) a perfect detector finds."""
    cameras = spec.cameras(centre_mm)
    landmarks_xy = np.stack([camera.project(landmarks_mm) for camera in cameras])
    in_slots = np.stack([near_in_slots(camera, landmarks_mm, landmarks.slots) for camera in cameras])
    near = near_landmarks(in_slots, landmarks)
    near_xy = np.where(near[..., None] < 0, np.nan, np.take_along_axis(landmarks_xy, near[..., None], axis=1))
    xy = near_xy.swapaxes(0, 1)[None]
    absent = np.zeros((1, len(landmarks_mm)), bool)
    ids, splits = np.array(["a"]), np.array(["train"])
    return Vectors(landmarks, ids, splits, xy, xy, landmarks_mm[None], absent, centre_mm[None], landmarks_xy[None])


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_mirrored_rays_meet_in_the_mirrored_landmarks(projection):
    """The near positions of the mirrored pair triangulate to its landmarks."""
    spec = RenderSpec("mm", Alignment(), projection, 300.0, 64, DEFAULT_RIG, "raster")
    centre_mm = np.array([5.0, 6.0, 7.0])
    mirrored = projected(PAIR, centre_mm + np.array(MIXED_MM[:2], float), centre_mm, spec).mirrored()

    found = triangulate_landmarks(mirrored.xy[0], centre_mm, spec, PAIR)
    assert found == pytest.approx(mirrored.landmarks_mm[0], abs=1e-6)


def test_objects_of_a_final_training_are_for_training_and_validation():
    """They are in both splits and in no test; joined parts are the whole."""
    vectors = replace(random_vectors(), splits=np.array(["every", "train", "test", "every"]))

    assert vectors.where("train").object_ids.tolist() == vectors.object_ids[[0, 1, 3]].tolist()
    assert vectors.where("val").object_ids.tolist() == vectors.object_ids[[0, 3]].tolist()
    assert vectors.where("test").object_ids.tolist() == vectors.object_ids[[2]].tolist()
    assert_same(Vectors.concat([vectors.take(np.array([0])), vectors.take(np.array([1, 2, 3]))]), vectors)
