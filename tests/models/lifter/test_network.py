"""The lifter's lessons: what the standardiser and the noise may see."""

import numpy as np
import pytest

from featurelib.geometry import DEFAULT_RIG, lens_for
from featurelib.models.lifter.network import NoisyBatches, build_lifter, fit_standardiser, residual_noise
from featurelib.models.lifter.vectors import Vectors

FRAME_MM = 400.0


@pytest.fixture(scope="module")
def vectors():
    """Forty random pairs seen by exact cameras, and a detector that is off by 1 % in x and 2 % in y."""
    rng = np.random.default_rng(0)
    pair_mm = np.array([[70.0, 10, 0], [-70, 10, 0]]) + rng.normal(scale=8, size=(40, 2, 3))
    cameras = DEFAULT_RIG.cameras(np.zeros(3), lens_for("orthographic", FRAME_MM), FRAME_MM)
    xy_true = np.stack([[c.project(pair[np.argmin(c.depth_mm(pair))]) for c in cameras] for pair in pair_mm])
    splits = np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    ids = np.array([f"o{i}" for i in range(40)])
    return Vectors(
        ids, splits, xy_true + rng.normal(size=xy_true.shape) * (0.01, 0.02), xy_true, pair_mm, np.zeros((40, 3))
    )


def test_the_standardiser_is_of_the_training_objects_alone(vectors):
    """Held-out objects must not shape what the network is trained on, not even through a mean."""
    standardiser = fit_standardiser(vectors.where("train"))

    np.testing.assert_array_equal(vectors.pair_mm[:20].reshape(20, 6).mean(0), standardiser.mean_mm)
    np.testing.assert_array_equal(vectors.pair_mm[:20].reshape(20, 6).std(0), standardiser.std_mm)


def test_the_standardiser_is_undone_inside_the_network(vectors):
    """The saved model speaks millimetres: with its last weights at zero it says the training mean."""
    standardiser = fit_standardiser(vectors.where("train"))
    model = build_lifter(9, standardiser)
    dense = model.layers[-2]
    dense.set_weights([np.zeros_like(w) for w in dense.get_weights()])

    np.testing.assert_allclose(model(np.zeros((1, 18)))[0], standardiser.mean_mm, rtol=1e-6)


def test_the_noise_is_the_detectors_error_on_objects_it_has_not_seen(vectors):
    """Its size is measured, for each value, and not guessed."""
    noise = residual_noise(vectors.where("val"))

    assert noise.shape == (9, 2)
    np.testing.assert_allclose(noise.mean(0), (0.01, 0.02), rtol=0.25)


def test_noise_is_drawn_anew_in_training_and_nowhere_else(vectors):
    """Two passes of training see other inputs and the same targets; the model itself is deterministic."""
    batches = batches_of(vectors)
    (first, target), (second, same_target) = batches[0], batches[0]

    assert (first != second).any(axis=1).mean() > 0.8
    np.testing.assert_array_equal(target, same_target)
    model = build_lifter(9, fit_standardiser(vectors.where("train")))
    np.testing.assert_array_equal(model(first), model(first))


def test_noise_is_all_that_the_detector_did_to_one_object(vectors):
    """The views of an object share their error, so no sample mixes the errors of two; every object's comes."""
    batches, errors = batches_of(vectors), errors_of(vectors)
    inputs = np.concatenate([batches[0][0] for _ in range(20)])
    added = inputs - np.tile(vectors.xy_true[batches.order[:32]].reshape(32, 18), (20, 1))
    drawn = np.abs(added[:, None] - errors.reshape(-1, 18)).max(axis=2) < 1e-6

    assert (drawn.sum(axis=1) == 1).all()
    assert drawn.any(axis=0).all()


def errors_of(vectors):
    """The detector's errors (m, v, 2) on validation objects."""
    return vectors.where("val").xy - vectors.where("val").xy_true


def batches_of(vectors):
    """Training batches with those errors."""
    return NoisyBatches(vectors.xy_true[:20], vectors.target_mm[:20], errors_of(vectors), seed=0)
