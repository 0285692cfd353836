"""Which views show which landmarks."""

import numpy as np

from featurelib.models.refiner.directions import BAND_VIEWS, JITTER_DEG, Directions


def test_a_view_shows_the_landmarks_on_its_side_of_a_ball(mixed, knobbly) -> None:
    """The bumps of channels without a counterpart in the mirror image are seen from the front of their direction."""
    mesh, landmarks_mm = knobbly
    outward = landmarks_mm[mixed.sides.landmark[0]] - mesh.centre_mm
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    axes = np.array([view.object_from_view[:, 2] for view in BAND_VIEWS])
    facing = outward @ axes.T

    assert mixed.directions.shows[facing > 0.4].all()
    assert not mixed.directions.shows[facing < -0.7].any()


def test_random_views_are_near_views_that_show_the_landmark(mixed) -> None:
    random, channels = np.random.default_rng(0), np.repeat(np.arange(4), 30)
    drawn = mixed.directions.draw(random, channels)
    axes = np.array([view.object_from_view[:, 2] for view in BAND_VIEWS])
    degrees = np.degrees(np.arccos(np.clip(drawn[:, :, 2] @ axes.T, -1, 1)))

    for channel, nearest in zip(channels, degrees, strict=True):
        assert nearest[mixed.directions.shows[channel]].min() <= np.hypot(*JITTER_DEG)


def test_a_landmark_on_no_object_has_all_views() -> None:
    assert Directions.seen([], 2, 10.0).shows.all()
