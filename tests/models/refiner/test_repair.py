"""The mean shape replaces estimates that are far off or missing."""

import numpy as np
from scipy.spatial.transform import Rotation

from featurelib.models.refiner.repair import MIN_LANDMARKS, MeanShape

RANDOM = np.random.default_rng(0)
MEAN = RANDOM.normal(0, 40, (20, 3))


def _objects(count: int) -> np.ndarray:
    """Return objects of the mean shape with deviations of 1 mm, moved by similarities."""
    turns, scales = Rotation.random(count, rng=1).as_matrix(), RANDOM.uniform(0.8, 1.3, (count, 1, 1))
    shapes = MEAN + RANDOM.normal(0, 1, (count, *MEAN.shape))
    return scales * np.einsum("nij,nkj->nki", turns, shapes) + RANDOM.normal(0, 50, (count, 1, 3))


def test_far_and_missing_estimates_are_replaced_and_no_others() -> None:
    truths = _objects(30)
    mean_shape = MeanShape.fit(MEAN, truths)
    estimates = truths[0].copy()
    estimates[[3, 7, 11]] += 60.0
    estimates[5] = np.nan

    repaired = mean_shape.repaired(estimates)

    changed = [3, 5, 7, 11]
    assert np.linalg.norm(repaired[changed] - truths[0, changed], axis=1).max() < 6
    others = np.delete(np.arange(20), changed)
    np.testing.assert_array_equal(repaired[others], estimates[others])


def test_the_typical_distances_are_those_of_true_landmarks() -> None:
    """A landmark that varies more may lie farther away; unlabelled ones do not count."""
    truths = _objects(200)
    truths[:, 4] += RANDOM.normal(0, 10, (200, 3))
    truths[::3, 8] = np.nan
    typical = MeanShape.fit(MEAN, truths).typical_mm

    assert 10 < typical[4] < 20
    assert (np.delete(typical, 4) < 3).all()


def test_few_landmarks_are_not_checked() -> None:
    few = MIN_LANDMARKS - 1
    estimates = MEAN[:few] + RANDOM.normal(0, 100, (few, 3))
    estimates[2] = np.nan
    mean_shape = MeanShape.fit(MEAN[:few], MEAN[None, :few])

    np.testing.assert_array_equal(mean_shape.repaired(estimates), estimates)
    assert np.isnan(MeanShape.fit(MEAN[:2], MEAN[None, :2]).placed(MEAN[:2])).all()
