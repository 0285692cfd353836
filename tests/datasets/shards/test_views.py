from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.schemas import shard_schema
from featurelib.datasets.shards import decode_png, object_views
from featurelib.errors import DataError
from featurelib.geometry import (
    PROJECTIONS,
    SIDES,
    Camera,
    LandmarkSet,
    Orthographic,
    Perspective,
    apply,
    frame_needed_mm,
    inverse,
    near_in_slots,
)
from featurelib.meshes import Mesh
from featurelib.rendering.shading import BACKGROUND

FRONT = 4
LEFT, RIGHT = 0, 1


def xy(row):
    """The positions (k, 2) of a row."""
    return np.reshape(row["landmarks_xy"], (-1, 2))


@pytest.fixture(params=PROJECTIONS)
def projected(request, spec):
    """The spec in each projection."""
    return replace(spec, projection=request.param, frame_mm=260.0)


@pytest.fixture
def rows(eared, labels, tips, projected, raster):
    """The nine views of the eared body."""
    return object_views(eared, labels, tips, "abc", projected, raster)


def test_a_row_is_a_view_in_rig_order(rows, projected, eared, tips):
    """There is one row per view with the columns of a shard; values of the object are equal in all rows."""
    assert [row["view"] for row in rows] == list(range(len(projected.rig)))
    for row in rows:
        assert set(row) == set(shard_schema(tips).names)
        assert (row["object_id"], row["group"], row["split"]) == ("eared", "kin", "val")
        assert (row["width"], row["height"], row["projection"]) == (64, 64, projected.projection)
        assert row["mesh_sha256"] == "abc"
        assert row["centre_mm"] == pytest.approx(eared.centre_mm)
    assert pa.Table.from_pylist(rows, schema=shard_schema(tips)).num_rows == len(rows)


def test_landmarks_are_in_the_object_frame(rows, landmarks_mm):
    """Labels in source frame and unit are stored in millimetres of the object frame."""
    for row in rows:
        assert row["landmarks_mm"] == pytest.approx(landmarks_mm.ravel())


def test_a_landmark_is_projected_correctly(eared, labels, tips, spec, raster, landmarks_mm):
    """In an orthographic image an offset (x, y, z) from the centre is at x cos a - z sin a to the right and y up."""
    for row, view in zip(object_views(eared, labels, tips, "abc", spec, raster), spec.rig.views, strict=True):
        azimuth = np.radians(view.azimuth_deg)
        for found, point_mm in zip(xy(row), landmarks_mm, strict=True):
            x, y, z = point_mm - eared.centre_mm
            expected = [0.5 + (x * np.cos(azimuth) - z * np.sin(azimuth)) / spec.frame_mm, 0.5 - y / spec.frame_mm]
            assert found == pytest.approx(expected)


def test_the_front_image_ends_at_the_ears(eared, labels, tips, spec, raster):
    """In the front view the tips of the ears are the outermost pixels of the body, at the labels."""
    front = object_views(eared, labels, tips, "abc", replace(spec, image_size=512), raster)[FRONT]

    drawn_rows, columns = np.nonzero(decode_png(front["png"]) != BACKGROUND)
    for side, extreme in ((LEFT, columns.argmax()), (RIGHT, columns.argmin())):
        pixel_xy = (np.array([columns[extreme], drawn_rows[extreme]]) + 0.5) / 512
        assert pixel_xy == pytest.approx(xy(front)[side], abs=1.5 / 512)
    assert xy(front)[LEFT, 0] > 0.5 > xy(front)[RIGHT, 0]  # as when facing someone


def test_the_near_side_is_the_side_of_the_view(rows, projected):
    """The right ear is near in views from the right (azimuth below 0), the left one from the left."""
    for row, view in zip(rows, projected.rig.views, strict=True):
        if view.near_side:
            assert row["near"] == [SIDES.index(view.near_side)] == [LEFT if view.azimuth_deg > 0 else RIGHT]


def test_an_occluded_landmark_has_its_position(rows):
    """A landmark behind the body keeps its position and is not visible."""
    first, last = rows[0], rows[-1]

    assert first["landmarks_visible"] == [False, True]
    assert last["landmarks_visible"] == [True, False]
    for row in rows:
        assert np.isfinite(row["landmarks_xy"]).all()
        assert row["landmarks_visible"][row["near"][0]]


def test_a_symmetric_body_has_mirrored_views(rows):
    """View i is the mirror image of view n - 1 - i, with the other landmark at 1 - x."""
    for row, partner in zip(rows, rows[::-1], strict=True):
        assert xy(row)[LEFT] == pytest.approx([1 - xy(partner)[RIGHT, 0], xy(partner)[RIGHT, 1]])
        assert row["landmarks_visible"] == partner["landmarks_visible"][::-1]
        image, other = (decode_png(one["png"]).astype(int) for one in (row, partner))
        assert np.abs(image - other[:, ::-1]).mean() < 0.5


def test_a_row_holds_its_camera(rows, landmarks_mm):
    """The lens and pose of a row project its landmarks to its positions."""
    for row in rows:
        is_orthographic = row["projection"] == "orthographic"
        assert (row["yfov_deg"] is None, row["half_height_mm"] is None) == (is_orthographic, not is_orthographic)
        lens = Orthographic(row["half_height_mm"]) if is_orthographic else Perspective(row["yfov_deg"])
        camera = Camera(lens, np.reshape(row["object_from_camera"], (4, 4)))
        assert camera.project(landmarks_mm) == pytest.approx(xy(row))


def test_the_error_of_a_large_object_has_the_needed_width(eared, labels, tips, projected, raster):
    """The width in the message, rounded up, is sufficient; a slightly smaller one is not."""
    needed = frame_needed_mm(eared.vertices_mm, eared.centre_mm, projected.rig, projected.projection)

    with pytest.raises(DataError, match=f"the object needs a frame of {needed:.4g} mm; the frame is 100 mm"):
        object_views(eared, labels, tips, "abc", replace(projected, frame_mm=100.0), raster)
    with pytest.raises(DataError, match="the object needs a frame"):
        object_views(eared, labels, tips, "abc", replace(projected, frame_mm=needed * 0.999), raster)
    assert len(object_views(eared, labels, tips, "abc", replace(projected, frame_mm=needed * 1.001), raster)) == 9


def test_a_landmark_far_from_the_mesh_is_refused(eared, labels, tips, projected, raster, landmarks_mm):
    """A label in another unit than the mesh is outside the image; the message names the landmark."""
    far = apply(inverse(projected.object_from_source), landmarks_mm * [[1], [25.4]]).ravel().tolist()

    with pytest.raises(DataError, match=r"landmark tip_right needs a frame of .* mm"):
        object_views(eared, {**labels, "landmarks": far}, tips, "abc", projected, raster)


def test_a_blank_image_is_refused(projected, tips, raster):
    """A mesh that covers no pixel's centre gives no views."""
    speck = Mesh.smooth([[0, 0, 0], [1e-3, 0, 0], [0, 1e-3, 0]], [[0, 1, 2]])
    at_speck = apply(inverse(projected.object_from_source), [[0, 0, 0], [0, 0, 0]]).ravel().tolist()
    labels = {"object_id": "speck", "group": "g", "split": "train", "landmarks": at_speck, "absent": [False] * 2}

    with pytest.raises(DataError, match="an image is blank"):
        object_views(speck, labels, tips, "abc", projected, raster)


MIXED = LandmarkSet((("tip_left", "tip_right"), ("cheek_left", "cheek_right")), midline=("top",), unpaired=("scar",))


@pytest.fixture
def mixed(eared, labels, spec):
    """The labels of a mixed set: the right cheek is not labelled, and the scar does not exist."""
    tips_mm = apply(spec.object_from_source, np.reshape(labels["landmarks"], (-1, 3)))
    more_mm = eared.centre_mm + np.array([[40.0, 0, 45.0], [np.nan] * 3, [0, 60.0, 0], [np.nan] * 3])
    points = apply(inverse(spec.object_from_source), np.concatenate([tips_mm, more_mm]))
    return labels | {"landmarks": points.ravel().tolist(), "absent": [False] * 5 + [True]}


def test_each_landmark_of_a_set_is_there_by_itself(eared, mixed, labels, tips, projected, raster):
    """What is not labelled is NaN and not visible, and changes nothing of the other landmarks."""
    rows = object_views(eared, mixed, MIXED, "abc", projected, raster)
    pair = object_views(eared, labels, tips, "abc", projected, raster)
    table = pa.Table.from_pylist(rows, schema=shard_schema(MIXED))

    for row, of_pair in zip(rows, pair, strict=True):
        assert np.isnan(xy(row)).any(axis=1).tolist() == [False, False, False, True, False, True]
        assert row["landmarks_absent"] == [False] * 5 + [True]
        np.testing.assert_array_equal(xy(row)[:2], xy(of_pair))
        assert row["landmarks_visible"][:2] == of_pair["landmarks_visible"]
        assert (row["landmarks_visible"][3], row["landmarks_visible"][5]) == (False, False)
        assert row["near"] == [*of_pair["near"], -1, 0, -1]
        lens = Orthographic(row["half_height_mm"]) if row["half_height_mm"] else Perspective(row["yfov_deg"])
        camera = Camera(lens, np.reshape(row["object_from_camera"], (4, 4)))
        points_mm = np.reshape(row["landmarks_mm"], (-1, 3))
        assert row["near"] == near_in_slots(camera, points_mm, MIXED.slots).tolist()
        np.testing.assert_allclose(xy(row), camera.project(points_mm), atol=1e-12)
    assert rows[FRONT]["landmarks_visible"][2]
    np.testing.assert_array_equal(table["near"].to_pylist(), [row["near"] for row in rows])
    assert np.isnan(np.array(table["landmarks_mm"].to_pylist())[:, 9:12]).all()


def test_an_object_without_a_label_is_refused(eared, mixed, projected, raster):
    """The reason has its fix."""
    nothing = mixed | {"landmarks": [float("nan")] * 18}

    with pytest.raises(DataError, match=r"none of its landmarks is labelled; label one, or remove its rows"):
        object_views(eared, nothing, MIXED, "abc", projected, raster)
