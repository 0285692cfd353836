"""The choice among objects is tested by what holds for any objects."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from featurelib.labelling.choice import NOISE, choose, correlations, described, without_known

NONE = np.zeros


def flags(count: int, *indices: int) -> np.ndarray:
    """Return flags (count,) that are set at some indices."""
    return np.isin(np.arange(count), indices)


def distances(points) -> np.ndarray:
    return cdist(points, points)


def choice_of(apart, count, weights=None, is_known=None, is_candidate=None) -> list[int]:
    n = len(apart)
    return choose(
        apart,
        np.ones(n) if weights is None else weights,
        np.zeros(n, bool) if is_known is None else is_known,
        np.ones(n, bool) if is_candidate is None else is_candidate,
        count,
    )


def remaining(apart, weights, chosen) -> float:
    """Return the weighted sum of the variances that are left, by the formula of Gaussian processes."""
    return float(weights @ np.diagonal(without_known(correlations(apart), flags(len(apart), *chosen))))


@pytest.fixture(params=range(5))
def cloud(request):
    """Points of a random distribution with some dimensions, and random weights."""
    rng = np.random.default_rng(request.param)
    return distances(rng.normal(size=(40, 1 + request.param)) * rng.random(1 + request.param)), rng.random(40)


def test_each_choice_lowers_the_remaining_variance_most(cloud):
    """The n-th choice is the best one after the first n - 1, when all variances are computed from scratch."""
    apart, weights = cloud

    chosen = choice_of(apart, 6, weights)

    for n in range(6):
        left = {i: remaining(apart, weights, [*chosen[:n], i]) for i in range(40) if i not in chosen[:n]}
        assert left[chosen[n]] == pytest.approx(min(left.values()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_choosing_one_by_one_is_nearly_as_good_as_the_best_set(count):
    """On 12 objects the variance that is explained is at least 1 - 1/e of what the best of all sets explains."""
    for seed in range(10):
        apart = distances(np.random.default_rng(seed).normal(size=(12, 2)))
        weights = np.ones(12)
        best = min(remaining(apart, weights, every) for every in combinations(range(12), count))

        left = remaining(apart, weights, choice_of(apart, count))

        assert 12 - left >= (1 - 1 / np.e) * (12 - best)


def test_the_choice_does_not_depend_on_the_order_of_the_objects(cloud):
    """Other indices and other units give the same objects, and fewer of them are the first of more."""
    apart, weights = cloud
    order = np.random.default_rng(9).permutation(40)

    chosen = choice_of(apart, 8, weights)

    assert order[choice_of(apart[order][:, order], 8, weights[order])].tolist() == chosen
    assert choice_of(7 * apart, 8, 3 * weights) == chosen
    assert choice_of(apart, 3, weights) == chosen[:3]


def test_only_candidates_are_chosen_and_each_once(cloud):
    """All of them, if more are asked for."""
    apart, weights = cloud
    is_candidate = flags(40, *range(0, 40, 3))

    chosen = choice_of(apart, 99, weights, is_candidate=is_candidate)

    assert sorted(chosen) == np.flatnonzero(is_candidate).tolist()
    assert choice_of(apart, 5, weights, is_candidate=NONE(40, bool)) == []


def clusters(*sizes: int, apart: float = 100.0) -> np.ndarray:
    """Return distances of points in clusters that are equally far from each other."""
    points = np.random.default_rng(4).normal(size=(sum(sizes), len(sizes)))
    return distances(np.repeat(apart * np.eye(len(sizes)), sizes, axis=0) + points)


def test_there_is_one_choice_per_cluster_the_largest_first():
    """Five clusters of different sizes give five choices, one of each, in the order of their sizes."""
    sizes = (3, 11, 5, 2, 7)

    chosen = choice_of(clusters(*sizes), 5)

    assert np.repeat(np.arange(5), sizes)[chosen].tolist() == [1, 4, 2, 0, 3]


def test_a_cluster_with_labels_comes_last():
    """The shape of a labelled object is known, so its cluster has less to tell than any other."""
    apart = clusters(3, 11, 5)

    chosen = choice_of(apart, 3, is_known=flags(19, 5), is_candidate=~flags(19, 5))

    assert np.repeat(np.arange(3), (3, 11, 5))[chosen].tolist() == [2, 0, 1]


def test_expected_errors_change_the_order():
    """A small cluster with large errors comes before a large one with small errors."""
    weights = np.repeat([9.0, 1.0, 1.0], (3, 11, 5))

    chosen = choice_of(clusters(3, 11, 5), 3, weights)

    assert np.repeat(np.arange(3), (3, 11, 5))[chosen].tolist() == [0, 1, 2]


def test_an_object_like_no_other_is_not_first():
    """A broken scan is far from all others; farthest points begin with it."""
    rng = np.random.default_rng(1)
    apart = distances(np.concatenate([rng.normal(size=(50, 3)), [[90.0, 0, 0]]]))

    assert 50 not in choice_of(apart, 5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_equal_shapes_are_no_special_case(count):
    """Objects without any difference are chosen in their order."""
    assert choice_of(np.zeros((count, count)), 9) == list(range(count))


def test_a_known_object_lowers_the_variances_as_one_that_was_chosen(cloud):
    """Both are the same step of a Gaussian process, and no variance is negative."""
    apart, _ = cloud
    covariance = correlations(apart)
    one_by_one = without_known(without_known(covariance, flags(40, 3)), flags(40, 8))

    both = without_known(covariance, flags(40, 3, 8))

    np.testing.assert_allclose(one_by_one, both, atol=1e-12)
    assert (np.diagonal(both) > 0).all()
    assert both[3, 3] <= NOISE


def test_a_choice_is_described_by_what_is_near_it():
    """Each object counts for the labelled or chosen one that it is most like, and the nearest one came before."""
    apart = distances(np.array([[0.0], [1], [2], [10], [11], [12], [30]]))

    labelled = described([4, 6], apart, flags(7, 0))
    without = described([4, 6], apart, NONE(7, bool))

    assert [(c.nearest, c.distance_mm, c.alike) for c in labelled] == [(0, 11.0, 2), (4, 19.0, 0)]
    assert [(c.nearest, c.alike) for c in without] == [(None, 5), (4, 0)]
    assert described([], apart, flags(7, 0)) == described([], apart, NONE(7, bool)) == []
