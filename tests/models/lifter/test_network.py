"""The lifter's network: its standardiser and the noise of its training inputs."""

import numpy as np
import pytest

from featurelib.geometry import DEFAULT_RIG, lens_for
from featurelib.models.lifter.network import NoisyBatches, build_lifter, fit_standardiser, residual_noise
from featurelib.models.lifter.vectors import Vectors

FRAME_MM = 400.0


@pytest.fixture(scope="module")
def vectors():
    """Forty random pairs in exact cameras, and a detector with errors of 1 % in x and 2 % in y."""
    rng = np.random.default_rng(0)
    landmarks_mm = np.array([[70.0, 10, 0], [-70, 10, 0]]) + rng.normal(scale=8, size=(40, 2, 3))
    cameras = DEFAULT_RIG.cameras(np.zeros(3), lens_for("orthographic", FRAME_MM), FRAME_MM)
    xy_true = np.stack([[c.project(pair[np.argmin(c.depth_mm(pair))]) for c in cameras] for pair in landmarks_mm])
    splits = np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    ids = np.array([f"o{i}" for i in range(40)])
    return Vectors(
        ids, splits, xy_true + rng.normal(size=xy_true.shape) * (0.01, 0.02), xy_true, landmarks_mm, np.zeros((40, 3))
    )


def test_the_standardiser_uses_only_training_objects(vectors):
    """Held-out objects do not affect the training, not even through a mean."""
    standardiser = fit_standardiser(vectors.where("train"))

    np.testing.assert_array_equal(vectors.landmarks_mm[:20].reshape(20, 6).mean(0), standardiser.mean_mm)
    np.testing.assert_array_equal(vectors.landmarks_mm[:20].reshape(20, 6).std(0), standardiser.std_mm)


def test_the_network_inverts_the_standardiser(vectors):
    """The saved model returns millimetres: with zero weights in its last layer, the training mean."""
    standardiser = fit_standardiser(vectors.where("train"))
    model = build_lifter(9, standardiser)
    dense = model.layers[-2]
    dense.set_weights([np.zeros_like(w) for w in dense.get_weights()])

    np.testing.assert_allclose(model(np.zeros((1, 18)))[0], standardiser.mean_mm, rtol=1e-6)


def test_the_noise_is_the_detectors_error_on_validation_objects(vectors):
    """It is measured for each coordinate."""
    noise = residual_noise(vectors.where("val"))

    assert noise.shape == (9, 2)
    np.testing.assert_allclose(noise.mean(0), (0.01, 0.02), rtol=0.25)


def test_noise_is_drawn_anew_in_training_only(vectors):
    """Two passes of training have different inputs and the same targets; the model itself is deterministic."""
    batches = batches_of(vectors)
    (first, target), (second, same_target) = batches[0], batches[0]

    assert (first != second).any(axis=1).mean() > 0.8
    np.testing.assert_array_equal(target, same_target)
    model = build_lifter(9, fit_standardiser(vectors.where("train")))
    np.testing.assert_array_equal(model(first), model(first))


def test_the_noise_of_a_sample_is_the_error_of_one_object(vectors):
    """Errors are correlated between the views of an object, so no sample mixes two objects; each object is drawn."""
    batches, errors = batches_of(vectors), errors_of(vectors)
    inputs = np.concatenate([batches[0][0] for _ in range(20)])
    added = inputs - np.tile(vectors.xy_true[batches.order[:32]].reshape(32, 18), (20, 1))
    drawn = np.abs(added[:, None] - errors.reshape(-1, 18)).max(axis=2) < 1e-6

    assert (drawn.sum(axis=1) == 1).all()
    assert drawn.any(axis=0).all()


def errors_of(vectors):
    """Return the detector's errors (m, v, 2) on validation objects."""
    return vectors.where("val").xy - vectors.where("val").xy_true


def batches_of(vectors):
    """Return training batches with those errors."""
    return NoisyBatches(vectors.xy_true[:20], vectors.target_mm[:20], errors_of(vectors), seed=0)
