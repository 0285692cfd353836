"""Near side and visibility of the landmark pair."""

import numpy as np
import pytest

from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    SIDES,
    Camera,
    LandmarkSet,
    Orthographic,
    is_visible,
    lens_for,
    near_in_slots,
    rigid,
)

PAIR_MM = np.array([[70.0, 0.0, 0.0], [-70.0, 0.0, 0.0]])
FRONT = 4
PIXELS = 8
CAMERA = Camera(Orthographic(40.0), rigid(np.eye(3), [0, 0, 100]))
"""At z = 100 with the axis -z; its image is 80 mm wide, which is 10 mm per pixel with 8 pixels."""


def _at(row: int, column: int, z: float = 0.0) -> np.ndarray:
    """Return the point (1, 3) at the centre of a pixel of CAMERA, at depth 100 - z."""
    return np.array([[column * 10 - 35.0, 35.0 - row * 10, z]])


def _near_side(camera: Camera, pair_mm: np.ndarray) -> str:
    """Return the side of the landmark of a pair (2, 3) that is nearer to the camera."""
    return SIDES[near_in_slots(camera, pair_mm, LandmarkSet.single_pair("ear").slots)[0]]


def test_left_comes_first() -> None:
    """All pairs have this order."""
    assert SIDES == ("left", "right")


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_near_side_of_a_symmetric_pair_is_that_of_the_view(projection: str) -> None:
    """Every camera except the front one has the near side of its view."""
    cameras = DEFAULT_RIG.cameras([0, 0, 0], lens_for(projection, 300.0), 300.0)

    for camera, view in zip(cameras, DEFAULT_RIG.views, strict=True):
        if view.near_side:
            assert _near_side(camera, PAIR_MM) == view.near_side


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_near_side_of_the_front_view_is_that_of_the_nearer_instance(projection: str) -> None:
    """The near side depends on the pair, not on the view; it is left if both depths are equal."""
    front = DEFAULT_RIG.cameras([0, 0, 0], lens_for(projection, 300.0), 300.0)[FRONT]

    assert _near_side(front, PAIR_MM + np.array([[0, 0, 1], [0, 0, 0]])) == "left"
    assert _near_side(front, PAIR_MM + np.array([[0, 0, 0], [0, 0, 1]])) == "right"
    assert _near_side(front, PAIR_MM) == "left"


def test_a_point_on_the_surface_is_visible_and_one_behind_it_is_not() -> None:
    """A point may be behind a flat wall at depth 100 by at most the tolerance."""
    wall = np.full((PIXELS, PIXELS), 100.0)
    points = np.concatenate([_at(3, 4, z) for z in (50, 0, -1.9, -2.1)])

    np.testing.assert_array_equal(is_visible(CAMERA, points, wall, 2.0), [True, True, True, False])


def test_a_point_without_a_surface_in_front_is_visible() -> None:
    """In an image of infinite depth all points are visible."""
    empty = np.full((PIXELS, PIXELS), np.inf)

    assert is_visible(CAMERA, _at(0, 0, -500), empty, 1.0).all()


def test_a_point_outside_the_image_is_not_visible() -> None:
    """A point beyond any of the four edges is not visible; a point at the last pixel is."""
    empty = np.full((PIXELS, PIXELS), np.inf)
    outside = [_at(-1, 3), _at(8, 3), _at(3, -1), _at(3, 8)]
    inside = [_at(0, 3), _at(7, 3), _at(3, 0), _at(3, 7)]

    assert not is_visible(CAMERA, np.concatenate(outside), empty, 1.0).any()
    assert is_visible(CAMERA, np.concatenate(inside), empty, 1.0).all()


def test_a_point_on_a_silhouette_is_visible() -> None:
    """An occluder hides a point two pixels inside its outline, but not a point next to a free pixel."""
    image = np.full((PIXELS, PIXELS), 100.0)
    image[:, :4] = 50.0  # an occluder over the left half
    points = np.concatenate([_at(3, column) for column in (1, 2, 3, 4)])

    np.testing.assert_array_equal(is_visible(CAMERA, points, image, 1.0), [False, False, True, True])


def test_rows_run_down_and_columns_to_the_right() -> None:
    """Through a hole in the upper right of the wall only the point behind it is visible."""
    wall = np.full((PIXELS, PIXELS), 50.0)
    wall[1, 6] = np.inf
    points = np.concatenate([_at(1, 6), _at(6, 1), _at(6, 6), _at(1, 1)])

    np.testing.assert_array_equal(is_visible(CAMERA, points, wall, 1.0), [True, False, False, False])


def test_images_need_not_be_square() -> None:
    """The height is the number of rows, and the width that of columns."""
    wall = np.full((4, 16), 50.0)
    wall[0, 15] = np.inf

    np.testing.assert_array_equal(
        is_visible(CAMERA, np.array([[38.0, 30.0, 0], [38.0, -30.0, 0]]), wall, 1.0), [True, False]
    )
