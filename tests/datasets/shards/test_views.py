from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.schemas import SHARD
from featurelib.datasets.shards import decode_png, object_views
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, Camera, Orthographic, Perspective, apply, frame_needed_mm, inverse
from featurelib.meshes import Mesh
from featurelib.rendering.shading import BACKGROUND

FRONT = 4


@pytest.fixture(params=PROJECTIONS)
def projected(request, spec):
    """The spec in each projection."""
    return replace(spec, projection=request.param, frame_mm=260.0)


@pytest.fixture
def rows(eared, labels, projected, raster):
    """The nine views of the eared body."""
    return object_views(eared, labels, "abc", projected, raster)


def test_a_row_is_a_view_in_rig_order(rows, projected, eared):
    """There is one row per view with the columns of schemas.SHARD; values of the object are equal in all rows."""
    assert [row["view"] for row in rows] == list(range(len(projected.rig)))
    for row in rows:
        assert set(row) == set(SHARD.names)
        assert (row["object_id"], row["group"], row["split"]) == ("eared", "kin", "val")
        assert (row["width"], row["height"], row["projection"]) == (64, 64, projected.projection)
        assert row["mesh_sha256"] == "abc"
        assert row["centre_mm"] == pytest.approx(eared.centre_mm)
    assert pa.Table.from_pylist(rows, schema=SHARD).num_rows == len(rows)


def test_landmarks_are_in_the_object_frame(rows, landmarks_mm):
    """Labels in source frame and unit are stored in millimetres of the object frame."""
    for row in rows:
        assert [row["left_mm"], row["right_mm"]] == [pytest.approx(point) for point in landmarks_mm]


def test_a_landmark_is_projected_correctly(eared, labels, spec, raster, landmarks_mm):
    """In an orthographic image an offset (x, y, z) from the centre is at x cos a - z sin a to the right and y up."""
    for row, view in zip(object_views(eared, labels, "abc", spec, raster), spec.rig.views, strict=True):
        azimuth = np.radians(view.azimuth_deg)
        for xy, point_mm in zip((row["left_xy"], row["right_xy"]), landmarks_mm, strict=True):
            x, y, z = point_mm - eared.centre_mm
            expected = [0.5 + (x * np.cos(azimuth) - z * np.sin(azimuth)) / spec.frame_mm, 0.5 - y / spec.frame_mm]
            assert xy == pytest.approx(expected)


def test_the_front_image_ends_at_the_ears(eared, labels, spec, raster):
    """In the front view the tips of the ears are the outermost pixels of the body, at the labels."""
    front = object_views(eared, labels, "abc", replace(spec, image_size=512), raster)[FRONT]

    drawn_rows, columns = np.nonzero(decode_png(front["png"]) != BACKGROUND)
    for side, extreme in (("left", columns.argmax()), ("right", columns.argmin())):
        pixel_xy = (np.array([columns[extreme], drawn_rows[extreme]]) + 0.5) / 512
        assert pixel_xy == pytest.approx(front[f"{side}_xy"], abs=1.5 / 512)
    assert front["left_xy"][0] > 0.5 > front["right_xy"][0]  # as when facing someone


def test_the_near_side_is_the_side_of_the_view(rows, projected):
    """The right ear is near in views from the right (azimuth below 0), the left one from the left; xy is that one."""
    for row, view in zip(rows, projected.rig.views, strict=True):
        if view.near_side:
            assert row["near_side"] == view.near_side == ("left" if view.azimuth_deg > 0 else "right")
        assert row["xy"] == row[f"{row['near_side']}_xy"]


def test_an_occluded_landmark_has_its_position(rows):
    """A landmark behind the body keeps its position and is not visible."""
    first, last = rows[0], rows[-1]

    assert (first["right_visible"], first["left_visible"]) == (True, False)
    assert (last["right_visible"], last["left_visible"]) == (False, True)
    for row in rows:
        assert np.isfinite([row["left_xy"], row["right_xy"]]).all()
        assert row[f"{row['near_side']}_visible"]


def test_a_symmetric_body_has_mirrored_views(rows):
    """View i is the mirror image of view n - 1 - i, with the other landmark at 1 - x."""
    for row, partner in zip(rows, rows[::-1], strict=True):
        assert row["left_xy"] == pytest.approx([1 - partner["right_xy"][0], partner["right_xy"][1]])
        assert row["left_visible"] == partner["right_visible"]
        image, other = (decode_png(one["png"]).astype(int) for one in (row, partner))
        assert np.abs(image - other[:, ::-1]).mean() < 0.5


def test_a_row_holds_its_camera(rows, landmarks_mm):
    """The lens and pose of a row project its landmarks to its positions."""
    for row in rows:
        is_orthographic = row["projection"] == "orthographic"
        assert (row["yfov_deg"] is None, row["half_height_mm"] is None) == (is_orthographic, not is_orthographic)
        lens = Orthographic(row["half_height_mm"]) if is_orthographic else Perspective(row["yfov_deg"])
        camera = Camera(lens, np.reshape(row["object_from_camera"], (4, 4)))
        assert camera.project(landmarks_mm) == pytest.approx(np.array([row["left_xy"], row["right_xy"]]))


def test_the_error_of_a_large_object_has_the_needed_width(eared, labels, projected, raster):
    """The width in the message, rounded up, is sufficient; a slightly smaller one is not."""
    needed = frame_needed_mm(eared.vertices_mm, eared.centre_mm, projected.rig, projected.projection)

    with pytest.raises(DataError, match=f"the object needs a frame of {needed:.4g} mm; the frame is 100 mm"):
        object_views(eared, labels, "abc", replace(projected, frame_mm=100.0), raster)
    with pytest.raises(DataError, match="the object needs a frame"):
        object_views(eared, labels, "abc", replace(projected, frame_mm=needed * 0.999), raster)
    assert len(object_views(eared, labels, "abc", replace(projected, frame_mm=needed * 1.001), raster)) == 9


def test_a_landmark_far_from_the_mesh_is_refused(eared, labels, projected, raster, landmarks_mm):
    """A label in another unit than the mesh is outside the image; the message names the landmark."""
    far = apply(inverse(projected.object_from_source), landmarks_mm * 25.4).tolist()

    with pytest.raises(DataError, match=r"a landmark needs a frame of .* mm"):
        object_views(eared, {**labels, "left": far[0], "right": far[1]}, "abc", projected, raster)


def test_a_blank_image_is_refused(projected, raster):
    """A mesh that covers no pixel's centre gives no views."""
    speck = Mesh.smooth([[0, 0, 0], [1e-3, 0, 0], [0, 1e-3, 0]], [[0, 1, 2]])
    at_speck = apply(inverse(projected.object_from_source), [[0, 0, 0], [0, 0, 0]]).tolist()
    labels = {"object_id": "speck", "group": "g", "split": "train", "left": at_speck[0], "right": at_speck[1]}

    with pytest.raises(DataError, match="an image is blank"):
        object_views(speck, labels, "abc", projected, raster)
