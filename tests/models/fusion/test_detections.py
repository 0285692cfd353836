"""What goes into a fusion."""

import numpy as np
import pytest

from featurelib.errors import GeometryError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Rays, lens_for
from featurelib.models.fusion import Detections, from_cameras, own_side

RAYS = Rays(np.zeros((2, 3)), np.eye(3)[:2])


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_spread_in_the_picture_is_the_spread_in_space(projection) -> None:
    """Points scattered in the image plane at the object, once projected, have the covariance that comes back in mm."""
    cameras = DEFAULT_RIG.cameras([10, -20, 5], lens_for(projection, 400.0), 400.0)
    point_mm, true = np.array([14.0, -12.0, 8.0]), np.array([[0.5, 0.3], [0.3, 0.9]])
    scatter = np.random.default_rng(0).multivariate_normal([0, 0], true, 4000)
    axes = [camera.object_from_camera[:3, :2].T for camera in cameras]
    spread_xy = [
        np.cov(camera.project(point_mm + scatter @ right_up).T) for camera, right_up in zip(cameras, axes, strict=True)
    ]

    found = from_cameras(cameras, np.zeros((9, 2)), 1.0, at_mm=point_mm, spread_xy=np.array(spread_xy))

    np.testing.assert_allclose(found.covariance_mm2, np.broadcast_to(np.cov(scatter.T), (9, 2, 2)), rtol=1e-9)


def test_a_number_for_the_spread_is_a_round_covariance() -> None:
    """A hundredth of a 400 mm image is 4 mm in both directions."""
    cameras = DEFAULT_RIG.cameras([0, 0, 0], lens_for("orthographic", 400.0), 400.0)

    found = from_cameras(cameras, np.zeros((9, 2)), 1.0, at_mm=[0, 0, 0], spread_xy=np.full(9, 0.01))

    np.testing.assert_allclose(found.covariance_mm2, np.broadcast_to(16 * np.eye(2), (9, 2, 2)))


def test_a_view_without_a_position_is_not_usable() -> None:
    """NaN is how a detector says that it saw nothing."""
    cameras = DEFAULT_RIG.cameras([0, 0, 0], lens_for("perspective", 400.0), 400.0)
    xy = np.where(np.arange(9)[:, None] == 3, np.nan, np.full((9, 2), 0.5))

    assert from_cameras(cameras, xy, 1.0, at_mm=[0, 0, 0]).usable.tolist() == [i != 3 for i in range(9)]


def test_own_side_views_of_the_sides_are_mirror_images() -> None:
    """Left views are the ones with a positive azimuth; the front counts for both or for none."""
    left, right = (own_side(DEFAULT_RIG.views, side) for side in ("left", "right"))

    assert left.tolist() == [view.azimuth_deg > 0 for view in DEFAULT_RIG.views]
    np.testing.assert_array_equal(right, left[::-1])
    np.testing.assert_array_equal(own_side(DEFAULT_RIG.views, "left", front=True), ~right)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sigma_mm": np.array([1.0, 0.0])}, "positive"),
        ({"sigma_mm": np.array([1.0, np.nan])}, "positive"),
        ({"visibility": np.ones(3)}, r"visibility \(3,\), expected \(2,\)"),
        ({"covariance_mm2": np.ones((2, 2))}, r"covariance_mm2 \(2, 2\), expected \(2, 2, 2\)"),
        ({"rays": Rays(np.full((2, 3), np.nan), np.eye(3)[:2])}, "mark that view as not usable"),
    ],
)
def test_sightings_that_cannot_be_are_refused(values, message) -> None:
    """Shapes and numbers are checked once, at the door."""
    with pytest.raises(GeometryError, match=message):
        Detections(**{"rays": RAYS, "usable": np.ones(2, dtype=bool), "sigma_mm": np.ones(2), **values})
