"""The closed form is the model fitted without the object, and mistakes do not hide each other."""

import numpy as np
import pytest

from featurelib.labelling.leave_one_out import in_mean_frame, leave_one_out

RANDOM = np.random.default_rng(0)
MEAN = RANDOM.normal(0, 40, (12, 3))
MODES = RANDOM.normal(0, 3, (4, 12, 3))
GROUPS = np.arange(12)


def shapes(count: int, noise_mm: float = 0.2) -> np.ndarray:
    """Objects of a mean shape with four modes of variation, and noise."""
    weights = RANDOM.normal(size=(count, 4))
    return MEAN + np.einsum("nm,mkx->nkx", weights, MODES) + RANDOM.normal(0, noise_mm, (count, 12, 3))


def test_an_object_does_not_move_its_own_place():
    """A landmark's place depends on the object's other labels only, not on its own label."""
    points = shapes(60)
    moved = points.copy()
    moved[3, 5] += [0.3, -0.2, 0.1]

    before, after = leave_one_out(points, GROUPS).places, leave_one_out(moved, GROUPS).places

    assert np.allclose(before[3, 5], after[3, 5], atol=1e-9)
    assert np.linalg.norm(before[3, 6] - after[3, 6]) > 1e-6


def test_a_missing_label_has_the_place_that_it_has_with_a_label():
    """Leaving a label out of the prediction is the same as not having it, but for its share in the mean."""
    points = shapes(60)
    missing = points.copy()
    missing[3, 5] = np.nan

    with_label, without = leave_one_out(points, GROUPS), leave_one_out(missing, GROUPS)

    assert np.linalg.norm(with_label.places[3, 5] - without.places[3, 5]) < 0.05
    assert np.isnan(without.scores[3, 5])


def test_mistakes_are_the_farthest_and_do_not_hide_each_other():
    """Three mistakes of 5 mm in one object, and one in each of five others, have the largest scores."""
    points, wrong = shapes(60), np.zeros((60, 12), dtype=bool)
    wrong[3, [1, 5, 9]] = wrong[10:15, 2] = True
    points[wrong] += 5 * np.array([0.6, 0.0, 0.8])

    scores = leave_one_out(points, GROUPS).scores

    assert scores[wrong].min() > scores[~wrong].max()


def test_motions_tell_nothing():
    """With free motions, moving an object moves its places with it."""
    points = shapes(60)
    moved = points.copy()
    moved[3] += [40, -30, 20]

    before, after = (leave_one_out(each, GROUPS, is_free=True) for each in (points, moved))

    assert np.allclose(after.places[3] - before.places[3], [40, -30, 20], atol=0.2)
    assert after.scores[3].max() == pytest.approx(before.scores[3].max(), rel=0.1)


def test_objects_are_moved_onto_their_median_shape():
    """Similarities are removed; an object with fewer than four labels has no place."""
    points = np.repeat(MEAN[None], 9, axis=0)
    points[1:] = points[1:] * 1.1 + 30
    points[4, 3:] = np.nan

    moved = in_mean_frame(points)

    known = np.delete(np.arange(9), 4)
    assert np.allclose(moved[known] - moved[0], 0, atol=1e-6)
    assert np.isnan(moved[4]).all()
