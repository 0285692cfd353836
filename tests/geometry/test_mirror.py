"""The mirrored image of a view is the mirrored object in the partner view, with the other instance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    SIDES,
    Camera,
    LandmarkSet,
    Rig,
    View,
    lens_for,
    mirror_landmarks,
    mirror_permutation,
    mirror_views,
    mirror_xy,
    near_in_slots,
)

SWAPPED = mirror_permutation(LandmarkSet.single_pair("ear"))

TALL_RIG = Rig((View(-112, 20), View(-45, -15), View(45, -15), View(112, 20)))


def _pair_and_centre(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an asymmetric pair (2, 3) in mm and the centre (3,) of a rig."""
    random = np.random.default_rng(seed)
    centre_mm = random.normal(size=3) * 50
    return centre_mm + [[70, 0, 0], [-70, 0, 0]] + random.normal(size=(2, 3)) * 20, centre_mm


def _near_side(camera: Camera, pair_mm: np.ndarray) -> str:
    """Return the side of the landmark of a pair (2, 3) that is nearer to the camera."""
    return SIDES[near_in_slots(camera, pair_mm, LandmarkSet.single_pair("ear").slots)[0]]


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("rig", [DEFAULT_RIG, TALL_RIG], ids=["default", "with elevations"])
@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_mirroring_the_object_mirrors_the_partner_view(projection: str, rig: Rig, seed: int) -> None:
    """Side s in view i of the mirrored object is the flipped position of the other side in view n - 1 - i."""
    landmarks_mm, centre_mm = _pair_and_centre(seed)
    cameras = rig.cameras(centre_mm, lens_for(projection, 400.0), 400.0)
    mirrored_mm = mirror_landmarks(landmarks_mm, SWAPPED, centre_mm[0])

    found = np.array([camera.project(mirrored_mm) for camera in cameras])

    expected = mirror_xy([camera.project(landmarks_mm) for camera in cameras])[::-1, ::-1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("projection", PROJECTIONS)
@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_mirrored_views_are_the_views_of_the_mirrored_object(projection: str, seed: int) -> None:
    """`mirror_views` gives the near instance's positions that projecting the mirrored pair gives."""
    landmarks_mm, centre_mm = _pair_and_centre(seed)
    cameras = DEFAULT_RIG.cameras(centre_mm, lens_for(projection, 400.0), 400.0)

    def near_xy(pair: np.ndarray) -> np.ndarray:
        return np.array([camera.project(pair)[SIDES.index(_near_side(camera, pair))] for camera in cameras])

    np.testing.assert_allclose(
        near_xy(mirror_landmarks(landmarks_mm, SWAPPED, centre_mm[0])), mirror_views(near_xy(landmarks_mm)), atol=1e-12
    )


def test_the_near_side_changes_with_the_mirror() -> None:
    """If the left side is near in view i, the right side is near in the partner view of the mirrored object."""
    landmarks_mm, centre_mm = _pair_and_centre(0)
    cameras = DEFAULT_RIG.cameras(centre_mm, lens_for("orthographic", 400.0), 400.0)

    sides = [_near_side(camera, landmarks_mm) for camera in cameras]
    mirrored = [_near_side(camera, mirror_landmarks(landmarks_mm, SWAPPED, centre_mm[0])) for camera in cameras]

    assert mirrored[::-1] == ["right" if side == "left" else "left" for side in sides]


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_mirroring_twice_is_the_identity(seed: int) -> None:
    """Positions, sets of views, and pairs in any plane return to their values."""
    random = np.random.default_rng(seed)
    xy, pairs = random.uniform(0, 1, (4, 9, 2)), random.normal(size=(4, 2, 3)) * 100

    np.testing.assert_allclose(mirror_xy(mirror_xy(xy)), xy, atol=1e-15)
    np.testing.assert_allclose(mirror_views(mirror_views(xy)), xy, atol=1e-15)
    np.testing.assert_array_equal(mirror_landmarks(mirror_landmarks(pairs, SWAPPED), SWAPPED), pairs)
    np.testing.assert_allclose(
        mirror_landmarks(mirror_landmarks(pairs, SWAPPED, 30.0), SWAPPED, 30.0), pairs, atol=1e-12
    )


def test_mirroring_an_image_flips_its_pixels() -> None:
    """The centre of column i becomes the centre of column W - 1 - i, and rows stay."""
    width, height = 6, 4
    image = np.random.default_rng(0).random((height, width))
    row, column = 1, 4
    centre = (np.array([column, row]) + 0.5) / (width, height)

    x, y = mirror_xy(centre) * (width, height)

    assert image[:, ::-1][int(y), int(x)] == image[row, column]
    np.testing.assert_allclose([x, y], [width - 1 - column + 0.5, row + 0.5])


def test_mirroring_a_pair_swaps_its_sides() -> None:
    """The mirror image of the left instance is the right one; height and depth stay."""
    mirrored = mirror_landmarks([[70, 1, 2], [-60, 3, 4]], SWAPPED, centre_x_mm=10)

    np.testing.assert_array_equal(mirrored, [[80, 3, 4], [-50, 1, 2]])
