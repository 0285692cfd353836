"""Which instance of the landmark pair is near, and which can be seen."""

import numpy as np
import pytest

from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    SIDES,
    Camera,
    Orthographic,
    is_visible,
    lens_for,
    near_side,
    rigid,
)

PAIR_MM = np.array([[70.0, 0.0, 0.0], [-70.0, 0.0, 0.0]])
FRONT = 4
PIXELS = 8
CAMERA = Camera(Orthographic(40.0), rigid(np.eye(3), [0, 0, 100]))
"""Looks along -z from z = 100 at an image 80 mm wide: 10 mm a pixel at 8 pixels."""


def _at(row: int, column: int, z: float = 0.0) -> np.ndarray:
    """Return the point (1, 3) in the middle of a pixel of CAMERA, at depth 100 - z."""
    return np.array([[column * 10 - 35.0, 35.0 - row * 10, z]])


def test_left_comes_first() -> None:
    """Pairs are stored in this order everywhere."""
    assert SIDES == ("left", "right")


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_near_side_is_the_side_the_view_looks_at(projection: str) -> None:
    """For a symmetric pair every camera off the middle agrees with its view."""
    cameras = DEFAULT_RIG.cameras([0, 0, 0], lens_for(projection, 300.0), 300.0)

    for camera, view in zip(cameras, DEFAULT_RIG.views, strict=True):
        if view.near_side:
            assert near_side(camera, PAIR_MM) == view.near_side


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_in_the_front_view_a_turned_object_shows_its_nearer_ear(projection: str) -> None:
    """The pair itself decides, not the view's angle; left when both are equally far."""
    front = DEFAULT_RIG.cameras([0, 0, 0], lens_for(projection, 300.0), 300.0)[FRONT]

    assert near_side(front, PAIR_MM + np.array([[0, 0, 1], [0, 0, 0]])) == "left"
    assert near_side(front, PAIR_MM + np.array([[0, 0, 0], [0, 0, 1]])) == "right"
    assert near_side(front, PAIR_MM) == "left"


def test_a_point_on_the_surface_is_visible_and_one_behind_it_is_not() -> None:
    """Before a flat wall at depth 100, a point may lie behind it by the tolerance and no more."""
    wall = np.full((PIXELS, PIXELS), 100.0)
    points = np.concatenate([_at(3, 4, z) for z in (50, 0, -1.9, -2.1)])

    np.testing.assert_array_equal(is_visible(CAMERA, points, wall, 2.0), [True, True, True, False])


def test_nothing_hides_a_point_where_there_is_no_surface() -> None:
    """An empty image, infinitely deep, hides no point inside it."""
    empty = np.full((PIXELS, PIXELS), np.inf)

    assert is_visible(CAMERA, _at(0, 0, -500), empty, 1.0).all()


def test_a_point_outside_the_image_is_not_visible() -> None:
    """Off any of the four edges a point is not seen, at the last pixel before it is."""
    empty = np.full((PIXELS, PIXELS), np.inf)
    outside = [_at(-1, 3), _at(8, 3), _at(3, -1), _at(3, 8)]
    inside = [_at(0, 3), _at(7, 3), _at(3, 0), _at(3, 7)]

    assert not is_visible(CAMERA, np.concatenate(outside), empty, 1.0).any()
    assert is_visible(CAMERA, np.concatenate(inside), empty, 1.0).all()


def test_a_point_on_a_silhouette_is_seen_past_the_edge_beside_it() -> None:
    """A blocker hides a point two pixels inside its outline, not one whose neighbour pixel looks past it."""
    image = np.full((PIXELS, PIXELS), 100.0)
    image[:, :4] = 50.0  # a blocker over the left half
    points = np.concatenate([_at(3, column) for column in (1, 2, 3, 4)])

    np.testing.assert_array_equal(is_visible(CAMERA, points, image, 1.0), [False, False, True, True])


def test_rows_run_down_and_columns_to_the_right() -> None:
    """A hole in the upper right of the wall shows only the point behind it there."""
    wall = np.full((PIXELS, PIXELS), 50.0)
    wall[1, 6] = np.inf
    points = np.concatenate([_at(1, 6), _at(6, 1), _at(6, 6), _at(1, 1)])

    np.testing.assert_array_equal(is_visible(CAMERA, points, wall, 1.0), [True, False, False, False])


def test_images_need_not_be_square() -> None:
    """Height counts rows and width columns."""
    wall = np.full((4, 16), 50.0)
    wall[0, 15] = np.inf

    np.testing.assert_array_equal(
        is_visible(CAMERA, np.array([[38.0, 30.0, 0], [38.0, -30.0, 0]]), wall, 1.0), [True, False]
    )
