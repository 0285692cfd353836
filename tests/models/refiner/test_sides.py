"""The channels of the mesh and its mirror image."""

import numpy as np
import pytest

from featurelib.geometry import LandmarkSet, mirror_landmarks, mirror_permutation
from featurelib.models.refiner.sides import refined_sides, training_sides

MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), ("nose",), ("scar",))


def test_a_pair_is_one_channel_and_a_midline_landmark_is_on_both_sides() -> None:
    assert refined_sides(MIXED).landmark.tolist() == [[0, 2, 4, 5], [1, 3, 4, -1]]
    assert refined_sides(LandmarkSet.single_pair("a")).landmark.tolist() == [[0], [1]]


@pytest.mark.parametrize("mirror", ["same", "none"])
def test_without_an_exchange_every_landmark_has_a_channel_of_the_mesh(mirror) -> None:
    """The mirror image of the same kind is used in training only."""
    landmarks = LandmarkSet(unpaired=("a", "b", "c"), mirror=mirror)

    assert refined_sides(landmarks).landmark.tolist() == [[0, 1, 2]]
    assert len(training_sides(landmarks).landmark) == (2 if mirror == "same" else 1)


@pytest.mark.parametrize("mirror", ["swap", "same"])
def test_the_points_of_the_mirrored_object_are_those_of_the_other_side(mirror) -> None:
    landmarks = LandmarkSet(MIXED.pairs, MIXED.midline, MIXED.unpaired, mirror)
    points = np.random.default_rng(0).normal(size=(3, 6, 3))
    points[1, 2] = np.nan
    sides, permutation = training_sides(landmarks), mirror_permutation(landmarks)

    straight, mirrored = sides.points_mm(points)
    swapped, _ = sides.points_mm(mirror_landmarks(points, permutation))

    np.testing.assert_array_equal(mirrored, swapped)
    np.testing.assert_array_equal(straight, points[:, sides.landmark[0]])


def test_each_landmark_is_first_on_one_side() -> None:
    sides = refined_sides(MIXED)

    assert sorted(sides.landmark[sides.first]) == list(range(6))
    assert sides.flags([True, False, False, True, True, True]).tolist() == [[1, 0, 1, 1], [0, 1, 1, 0]]
