"""The input of a fusion."""

import numpy as np
import pytest

from featurelib.errors import GeometryError
from featurelib.geometry import DEFAULT_RIG, Rays, lens_for
from featurelib.models.fusion import Detections, from_cameras, own_side

RAYS = Rays(np.zeros((2, 3)), np.eye(3)[:2])


def test_a_view_without_a_position_is_not_usable() -> None:
    """A missing detection is NaN."""
    cameras = DEFAULT_RIG.cameras([0, 0, 0], lens_for("perspective", 400.0), 400.0)
    xy = np.where(np.arange(9)[:, None] == 3, np.nan, np.full((9, 2), 0.5))

    assert from_cameras(cameras, xy, 1.0).usable.tolist() == [i != 3 for i in range(9)]


def test_own_side_views_of_the_sides_are_mirror_images() -> None:
    """Left views have a positive azimuth; the front belongs to both sides or to none."""
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
        ({"rays": Rays(np.full((2, 3), np.nan), np.eye(3)[:2])}, "mark that view as not usable"),
    ],
)
def test_invalid_detections_are_rejected(values, message) -> None:
    """The constructor checks shapes and numbers."""
    with pytest.raises(GeometryError, match=message):
        Detections(**{"rays": RAYS, "usable": np.ones(2, dtype=bool), "sigma_mm": np.ones(2), **values})
