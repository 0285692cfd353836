"""The rig: its views, its file, and the frame that an object needs."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import DataError, UsageError
from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    Orthographic,
    Perspective,
    Rig,
    View,
    frame_needed_mm,
    lens_for,
)

angles = st.tuples(st.floats(-180, 180), st.floats(-80, 80))


@st.composite
def rigs(draw: st.DrawFn) -> Rig:
    """Draw a symmetric rig of one to nine views."""
    half = [View(*pair) for pair in draw(st.lists(angles, min_size=1, max_size=4))]
    middle = [View(0.0, draw(st.floats(-80, 80)))] if draw(st.booleans()) else []
    return Rig((*half, *middle, *(View(-view.azimuth_deg, view.elevation_deg) for view in reversed(half))))


def test_the_default_rig_is_nine_even_views() -> None:
    """The azimuths are -90 to +90 in steps of 22.5 degrees at elevation 0; the middle view is the front."""
    assert [view.azimuth_deg for view in DEFAULT_RIG.views] == [-90, -67.5, -45, -22.5, 0, 22.5, 45, 67.5, 90]
    assert {view.elevation_deg for view in DEFAULT_RIG.views} == {0}
    assert len(DEFAULT_RIG) == 9


def test_the_angles_determine_the_direction_of_a_view() -> None:
    """The camera is at the object's left (+x) for azimuth 90, behind it for 180, and above it for elevation 90."""
    directions = [View(a, e).object_from_view[:, 2] for a, e in ((0, 0), (90, 0), (-90, 0), (180, 0), (0, 90))]

    np.testing.assert_allclose(directions, [[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)


@given(angles)
@settings(deadline=None)
def test_views_are_upright_rotations(pair: tuple[float, float]) -> None:
    """The axes are orthonormal and right-handed, the image's right is level and its top points up."""
    rotation = View(*pair).object_from_view

    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation[1, 0] == 0
    assert rotation[1, 1] > 0


def test_the_near_side_of_a_view_depends_on_its_azimuth() -> None:
    """The near side is left for positive azimuths, right for negative ones, and None for front and back."""
    assert [View(a).near_side for a in (22.5, 90, 135, -22.5, -135, 0, 180)] == [
        "left", "left", "left", "right", "right", None, None,
    ]  # fmt: skip
    assert [view.near_side for view in DEFAULT_RIG.views] == ["right"] * 4 + [None] + ["left"] * 4


@given(rigs())
@settings(deadline=None)
def test_a_rig_survives_its_file(rig: Rig) -> None:
    """A rig that is written and read is equal."""
    assert Rig.from_json(rig.to_json()) == rig
    assert Rig.from_dict(rig.to_dict()) == rig


def test_a_rig_file_may_omit_elevations() -> None:
    """The default elevation is 0, and integers are accepted as angles."""
    rig = Rig.from_json(b'{"views": [{"azimuth_deg": -40}, {"azimuth_deg": 40}]}')

    assert rig == Rig((View(-40.0), View(40.0)))


def test_back_views_are_symmetric_too() -> None:
    """180 and -180 degrees are the same direction, so a back view is its own mirror image."""
    assert len(Rig((View(180.0),))) == 1
    assert len(Rig((View(-180.0), View(0.0), View(-180.0)))) == 3


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ((View(-90), View(0), View(45)), r"view 0 \(azimuth -90\) must mirror view 2; expected azimuth 90 .* not 45"),
        ((View(30),), "view 0 .* must mirror view 0"),
        ((View(-30, 10), View(30, 20)), "same elevation"),
        ((View(float("nan")),), "must mirror"),
        ((), "no views"),
    ],
)
def test_asymmetric_rigs_are_rejected(views: tuple[View, ...], message: str) -> None:
    """The error names the view, its partner and the expected angle."""
    with pytest.raises(DataError, match=message):
        Rig(views)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"views": 3}', '{"views": [[0, 0]]}', '{"views": [{"azimuth": 0}]}', b"\xff",
        '{"views": [{"azimuth_deg": "left"}]}', '{"views": []}', '{"views": [{"azimuth_deg": 10}]}',
    ],
)  # fmt: skip
def test_a_bad_rig_file_is_rejected_by_name(text: str | bytes) -> None:
    """Any fault raises an error of one line that begins with the file."""
    with pytest.raises(DataError, match=r"^my-rig\.json: .*expected") as caught:
        Rig.from_json(text, name="my-rig.json")
    assert "\n" not in str(caught.value)


def test_a_rig_file_is_plain_json() -> None:
    """The file is a list of angles in degrees, which a user can write by hand."""
    assert json.loads(Rig.evenly(3, 60).to_json()) == {
        "views": [{"azimuth_deg": azimuth, "elevation_deg": 0.0} for azimuth in (-60, 0, 60)]
    }


def test_the_projection_determines_the_lens() -> None:
    """An orthographic lens depends on the frame, a perspective one does not; other names are rejected."""
    assert lens_for("orthographic", 400) == Orthographic(200)
    assert lens_for("perspective", 400) == lens_for("perspective", 100) == Perspective(30)
    with pytest.raises(UsageError, match=r"'fisheye': expected one of orthographic, perspective"):
        lens_for("fisheye", 400)


@pytest.mark.parametrize("projection", PROJECTIONS)
@given(rigs(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_the_frame_needed_is_tight(projection: str, rig: Rig, seed: int) -> None:
    """In that frame all views show all points, and at least one point is on an edge."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(30, 3)) * random.uniform(20, 150, 3) + 40
    centre_mm = (points.min(axis=0) + points.max(axis=0)) / 2

    frame_mm = frame_needed_mm(points, centre_mm, rig, projection)

    cameras = rig.cameras(centre_mm, lens_for(projection, frame_mm), frame_mm)
    farthest = max(np.abs(camera.project(points) - 0.5).max() for camera in cameras)
    assert farthest == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_all_cameras_are_outside_objects_that_fit_into_the_image(projection: str) -> None:
    """A ball that fills every image is completely in front of every camera."""
    centre_mm = np.array([10.0, 20.0, 30.0])

    for camera in DEFAULT_RIG.cameras(centre_mm, lens_for(projection, 400.0), 400.0):
        assert camera.depth_mm(centre_mm) > 200
