"""The parts of the experiment: rules, predictors, and the whole on synthetic bodies."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.errors import DataError
from jobs.experiments.drivers.suggest_curve import (
    PREDICTORS,
    RULES,
    farthest_first,
    nearest_offset,
    regression_offset,
)
from jobs.experiments.suggest_curve import SuggestCurveConfig, suggest_curve


def reach(apart, chosen) -> float:
    """Return the largest distance of an object from the chosen ones."""
    return float(apart[list(chosen)].min(axis=0).max())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_farthest_points_reach_within_twice_the_least(count):
    """On 12 random points, against all sets of the same size."""
    for seed in range(10):
        points = np.random.default_rng(seed).normal(size=(12, 2))
        apart = cdist(points, points)

        found = reach(apart, farthest_first(apart, count, np.random.default_rng(0)))

        assert found <= 2 * min(reach(apart, every) for every in combinations(range(12), count)) + 1e-12


@pytest.mark.parametrize("name", RULES)
def test_every_rule_chooses_different_objects(name):
    """As many as are asked for, or all, the same for the same seed."""
    apart = cdist(*[np.random.default_rng(0).normal(size=(10, 3))] * 2)

    chosen = RULES[name](apart, 6, np.random.default_rng(1))

    assert len({*chosen}) == len(chosen) == 6
    assert RULES[name](apart, 6, np.random.default_rng(1)) == chosen
    assert sorted(RULES[name](apart, 99, np.random.default_rng(1))) == list(range(10))


@pytest.fixture
def linear():
    """Distances of 40 shapes with three parameters, and offsets that are linear in these."""
    rng = np.random.default_rng(2)
    shapes, slopes = rng.normal(size=(40, 3)), rng.normal(size=(3, 4, 3))
    return cdist(shapes, shapes), np.einsum("np,pkx->nkx", shapes, slopes) + 5


def test_regression_finds_offsets_that_are_linear_in_the_shape(linear):
    """From 20 objects the other 20 are exact to a hundredth; the nearest ones are far off."""
    apart, offsets = linear
    chosen, test = np.arange(20), np.arange(20, 40)

    errors = {
        f.__name__: np.abs(f(apart, offsets[chosen], chosen, test) - offsets[test]).max()
        for f in (regression_offset, nearest_offset)
    }

    assert errors["regression_offset"] < 0.25
    assert errors["nearest_offset"] > 1


@pytest.mark.parametrize("name", PREDICTORS)
def test_equal_offsets_are_predicted_exactly(name, linear):
    apart, _ = linear
    offsets = np.full((5, 4, 3), 1.5)

    found = PREDICTORS[name](apart, offsets, np.arange(5), np.arange(5, 40))

    np.testing.assert_allclose(found, np.full((35, 4, 3), 1.5))


def test_the_experiment_prints_a_curve_per_predictor(cluster, tmp_path, capsys):
    """On ten bodies; the ratio of the random choice to itself is not printed."""
    write_dataset(tmp_path, 10, landmarks=LANDMARKS)

    suggest_curve(SuggestCurveConfig(dataset=str(tmp_path), pool=7, labels=(3, 5), seeds=(0, 1), repeats=2))

    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert [line[0] for line in lines if line[0] in {"mean:", "nearest:", "regression:"}] == [
        "mean:",
        "nearest:",
        "regression:",
    ]
    rows = [line for line in lines if line[0] in {"3", "5"}]
    assert len(rows) == 6
    assert all(float(row[4]) == pytest.approx(float(row[2]) / float(row[1]), rel=0.2) for row in rows)


def test_a_pool_that_is_too_small_is_one_line(tmp_path):
    write_dataset(tmp_path, 10, landmarks=LANDMARKS)

    with pytest.raises(DataError, match="--pool 7 of 10 objects; expected at least --labels 60 and fewer than all"):
        suggest_curve(SuggestCurveConfig(dataset=str(tmp_path), pool=7))
