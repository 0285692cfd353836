"""Pairs, midline and unpaired landmarks are found from positions alone."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.datasets.pair_inference import infer_pairs, mean_shape
from featurelib.geometry import LandmarkSet

NUM_PAIRS, NUM_MIDLINE = 21, 9
TRUTH = LandmarkSet(
    tuple((f"{k}a", f"{k}b") for k in range(NUM_PAIRS)), tuple(f"m{k}" for k in range(NUM_MIDLINE)), mirror="swap"
)


def shapes(count: int, seed: int = 0, noise: float = 0.004, turned_deg: float = 15, unpaired: int = 0) -> np.ndarray:
    """Objects (n, k, 3) of one bilateral shape of length 2 with noise, turned by up to some degrees, in other sizes."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(NUM_PAIRS, 3)) * (0.2, 0.3, 0.5)
    left[:, 0] = np.abs(left[:, 0]) + 0.01
    pairs = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(-1, 3)
    middle = rng.normal(size=(NUM_MIDLINE, 3)) * (0, 0.3, 0.5)
    alone = rng.normal(size=(unpaired, 3)) * 0.4
    points = np.concatenate([pairs, middle, alone]) + noise * rng.normal(size=(count, 51 + unpaired, 3))
    turns = Rotation.from_rotvec(np.radians(turned_deg) * rng.uniform(-1, 1, (count, 3)) / 2).as_matrix()
    return rng.uniform(0.8, 1.2, (count, 1, 1)) * np.einsum("nij,nkj->nki", turns, points) + rng.normal(
        size=(count, 1, 3)
    )


def shuffled(points: np.ndarray, names, seed: int = 1) -> tuple[list[str], np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(names))
    return [names[i] for i in order], points[:, order]


@pytest.mark.parametrize("seed", range(3))
def test_all_pairs_are_found_with_a_tenth_of_the_points_unlabelled(seed):
    """In any order of the names; left is +x of aligned objects."""
    points = shapes(30, seed)
    points[np.random.default_rng(seed).random(points.shape[:2]) < 0.1] = np.nan
    names, points = shuffled(points, TRUTH.names, seed)
    found = infer_pairs(names, points, is_aligned=True)

    assert set(found.pairs) == set(TRUTH.pairs)
    assert set(found.midline) == set(TRUTH.midline)
    assert found.unpaired == ()
    assert found.is_left_known
    assert max(found.gaps.values()) < 0.02
    assert [*found.pairs] == sorted(found.pairs, key=lambda pair: min(map(names.index, pair)))


def test_any_pose_gives_the_same_pairs_and_a_guessed_left():
    points = np.einsum("nij,nkj->nki", Rotation.random(20, rng=3).as_matrix(), shapes(20))
    found = infer_pairs(TRUTH.names, points)

    assert {frozenset(pair) for pair in found.pairs} == {frozenset(pair) for pair in TRUTH.pairs}
    assert not found.is_left_known
    assert found.left_axis in ("+x", "+y", "+z")


def test_the_mirrored_mean_lies_on_itself():
    """The returned shape has its mirror plane at x = 0 and left at +x."""
    found = infer_pairs(TRUTH.names, shapes(30), is_aligned=True)
    place = {name: found.points[k] for k, name in enumerate(found.names)}

    for left, right in found.pairs:
        assert place[left][0] > place[right][0]
        np.testing.assert_allclose(place[left] * (-1, 1, 1), place[right], atol=0.02)
    for name in found.midline:
        assert abs(place[name][0]) < 0.01


def test_landmarks_without_a_counterpart_are_unpaired():
    points = shapes(30, unpaired=8)
    names = (*TRUTH.names, *(f"u{k}" for k in range(8)))
    found = infer_pairs(names, points, is_aligned=True)

    assert set(found.pairs) == set(TRUTH.pairs)
    assert set(found.unpaired) == {f"u{k}" for k in range(8)}
    assert found.landmark_set().mirror == "swap"


def test_points_of_one_side_have_no_symmetry():
    """Neither with the midline nor without it."""
    points = shapes(30)
    lefts = [*range(0, 2 * NUM_PAIRS, 2)]
    for chosen in (lefts, [*lefts, *range(2 * NUM_PAIRS, 51)]):
        found = infer_pairs([TRUTH.names[i] for i in chosen], points[:, chosen], is_aligned=True)

        assert not found.is_symmetric
        assert found.unpaired == tuple(TRUTH.names[i] for i in chosen)
        assert found.landmark_set().mirror == "none"


@pytest.mark.parametrize("count", [2, 3, 5, 12, 60])
@pytest.mark.parametrize("on_sphere", [False, True])
def test_random_points_have_no_symmetry(count, on_sphere):
    for seed in range(2):
        points = np.random.default_rng(seed).normal(size=(1, count, 3))
        points = points / np.linalg.norm(points, axis=2, keepdims=True) if on_sphere else points

        assert not infer_pairs([*map(str, range(count))], points).is_symmetric


@pytest.mark.parametrize("points", [np.zeros((2, 3, 3)), np.full((2, 3, 3), np.nan), np.ones((1, 1, 3))])
def test_points_at_one_place_or_without_labels_have_no_symmetry(points):
    assert not infer_pairs([*map(str, range(points.shape[1]))], points).is_symmetric


def test_a_close_second_match_is_doubtful():
    """The two landmarks of one side that nearly coincide, and those of the other, are named."""
    points = shapes(3, noise=0.01)
    points[:, 2:4] = points[:, :2] + 0.004
    found = infer_pairs(TRUTH.names, points, is_aligned=True)

    assert {"0a", "1a"} & set(found.doubtful)
    assert not {"m0", "m1"} & set(found.doubtful)


def test_the_mean_shape_does_not_depend_on_poses_or_sizes():
    """Exact copies of a shape in other poses, each with other points unlabelled, have the shape as their mean."""
    points = shapes(1, noise=0.0, turned_deg=0).repeat(8, axis=0)
    turns = Rotation.random(8, rng=0).as_matrix()
    moved = 2.5 * np.einsum("nij,nkj->nki", turns, points) + 7
    moved[np.arange(8)[:, None], np.arange(40).reshape(8, 5)] = np.nan
    mean = mean_shape(np.concatenate([moved, points[:1] * np.nan]))

    between = np.linalg.norm(mean.points[:, None] - mean.points[None], axis=2)
    expected = 2.5 * np.linalg.norm(points[0][:, None] - points[0][None], axis=2)
    np.testing.assert_allclose(between, expected, atol=1e-9)
