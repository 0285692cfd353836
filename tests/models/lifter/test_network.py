"""The lifter's network: its standardiser, its masks and the noise of its training inputs."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from featurelib.geometry import DEFAULT_RIG, LandmarkSet, lens_for, near_in_slots
from featurelib.models.lifter.network import (
    NoisyBatches,
    _standardised_mse,
    build_lifter,
    detector_errors,
    fit_lifter,
    fit_standardiser,
    mean_positions,
    residual_noise,
)
from featurelib.models.lifter.vectors import Vectors

FRAME_MM = 400.0
PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
MIXED_MM = np.array([(70, 10, 0), (-70, 10, 0), (40, 60, 30), (-40, 60, 30), (0, -5, 90), (-30, -40, 60)], float)


def make_vectors(landmarks: LandmarkSet, landmarks_mm: np.ndarray) -> Vectors:
    """Return random objects about a shape in exact cameras, and a detector with errors of 1 % in x and 2 % in y."""
    rng, slots = np.random.default_rng(0), landmarks.slots
    labels_mm = landmarks_mm + rng.normal(scale=8, size=(40, *landmarks_mm.shape))
    cameras = DEFAULT_RIG.cameras(np.zeros(3), lens_for("orthographic", FRAME_MM), FRAME_MM)
    rows = np.arange(len(slots))
    near = [[c.project(mm[slots[rows, near_in_slots(c, mm, slots)]]) for c in cameras] for mm in labels_mm]
    xy_true = np.moveaxis(np.array(near), 1, 2)
    return Vectors(
        landmarks,
        np.array([f"o{i}" for i in range(40)]),
        np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10),
        xy_true + rng.normal(size=xy_true.shape) * (0.01, 0.02),
        xy_true,
        labels_mm,
        np.zeros(labels_mm.shape[:2], dtype=bool),
        np.zeros((40, 3)),
    )


@pytest.fixture(scope="module")
def vectors():
    """Forty pairs."""
    return make_vectors(PAIR, MIXED_MM[:2])


@pytest.fixture(scope="module")
def partial():
    """Forty objects of a mixed set; a third lacks the labels of the first pair's right landmark, and of the nose."""
    whole = make_vectors(MIXED, MIXED_MM)
    landmarks_mm, xy_true = whole.landmarks_mm.copy(), whole.xy_true.copy()
    landmarks_mm[::3, 1], xy_true[::3, 0] = np.nan, np.nan
    landmarks_mm[1::3, 4], xy_true[1::3, 2] = np.nan, np.nan
    return replace(whole, landmarks_mm=landmarks_mm, xy_true=xy_true)


def test_the_standardiser_uses_only_training_objects(vectors):
    """Held-out objects do not affect the training, not even through a mean."""
    standardiser = fit_standardiser(vectors.where("train"))

    np.testing.assert_array_equal(vectors.landmarks_mm[:20].reshape(20, 6).mean(0), standardiser.mean_mm)
    np.testing.assert_array_equal(vectors.landmarks_mm[:20].reshape(20, 6).std(0), standardiser.std_mm)


def test_missing_labels_are_left_out_of_means(partial):
    """The standardiser and the mean positions are those of the objects that have the label."""
    training = partial.where("train")
    has_label = np.isfinite(training.landmarks_mm[:, 1, 0])

    standardiser, mean_xy = fit_standardiser(training), mean_positions(training)

    np.testing.assert_allclose(standardiser.mean_mm.reshape(6, 3)[1], training.landmarks_mm[has_label, 1].mean(0))
    np.testing.assert_allclose(mean_xy[0], training.xy_true[has_label, 0].mean(0))
    assert np.isfinite(mean_xy).all()
    nothing = replace(training, xy_true=np.full_like(training.xy_true, np.nan))
    assert (mean_positions(nothing) == 0.5).all()


def test_one_pair_has_the_seeds_network(vectors):
    """18 coordinates in, 6 out."""
    model = build_lifter(mean_positions(vectors).size, fit_standardiser(vectors))

    assert (model.input_shape, model.output_shape) == ((None, 18), (None, 6))


def test_the_network_inverts_the_standardiser(vectors):
    """The saved model returns millimetres: with zero weights in its last layer, the training mean."""
    standardiser = fit_standardiser(vectors.where("train"))
    model = build_lifter(18, standardiser)
    dense = model.layers[-2]
    dense.set_weights([np.zeros_like(w) for w in dense.get_weights()])

    np.testing.assert_allclose(model(np.zeros((1, 18)))[0], standardiser.mean_mm, rtol=1e-6)


def test_the_noise_is_the_detectors_error_on_validation_objects(vectors):
    """It is measured for each coordinate."""
    noise = residual_noise(vectors.where("val"))

    assert noise.shape == (1, 9, 2)
    np.testing.assert_allclose(noise.mean((0, 1)), (0.01, 0.02), rtol=0.25)


def test_unknown_errors_are_those_of_other_objects(partial):
    """A slot without true positions has the errors of an object that has them; without any they are zero."""
    validation = partial.where("val")
    unknown = np.isnan(validation.xy_true).any(axis=(2, 3))

    errors = detector_errors(validation)

    assert unknown[:, 0].any()
    known = (validation.xy - validation.xy_true)[~unknown[:, 0], 0]
    for row in errors[unknown[:, 0], 0]:
        assert (np.abs(known - row).max(axis=(1, 2)) == 0).any()
    nothing = replace(validation, xy_true=np.full_like(validation.xy_true, np.nan))
    assert (detector_errors(nothing) == 0).all()


def test_noise_is_drawn_anew_in_training_only(vectors):
    """Two passes of training have different inputs and the same targets; the model itself is deterministic."""
    batches = batches_of(vectors)
    (first, target), (second, same_target) = batches[0], batches[0]

    assert (first != second).any(axis=1).mean() > 0.8
    np.testing.assert_array_equal(target, same_target)
    model = build_lifter(18, fit_standardiser(vectors.where("train")))
    np.testing.assert_array_equal(model(first), model(first))


def test_the_noise_of_a_sample_is_the_error_of_one_object(vectors):
    """Errors are correlated between the views of an object, so no sample mixes two objects; each object is drawn."""
    batches, errors = batches_of(vectors), detector_errors(vectors.where("val"))
    inputs = np.concatenate([batches[0][0] for _ in range(20)])
    added = inputs - np.tile(vectors.xy_true[batches.order[:32]].reshape(32, 18), (20, 1))
    drawn = np.abs(added[:, None] - errors.reshape(-1, 18)).max(axis=2) < 1e-6

    assert (drawn.sum(axis=1) == 1).all()
    assert drawn.any(axis=0).all()


def test_a_set_with_missing_labels_is_learned(partial):
    """Weights stay finite, and the fit beats the mean on the landmarks of held-out objects."""
    training, validation = partial.where("train"), partial.where("val")

    model, standardiser = fit_lifter(training, validation)

    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert (model.input_shape, model.output_shape) == ((None, 72), (None, 18))
    found = np.asarray(model(validation.xy.reshape(10, -1))).reshape(10, 6, 3)
    errors_mm = np.linalg.norm(found - validation.target_mm, axis=2)
    mean_errors_mm = np.linalg.norm(standardiser.mean_mm.reshape(6, 3) - validation.target_mm, axis=2)
    assert np.nanmean(errors_mm) < np.nanmean(mean_errors_mm)


def test_a_target_without_a_label_has_no_gradient(partial):
    """Predictions of unlabelled landmarks do not change the loss."""
    training = partial.where("train")
    model = build_lifter(72, fit_standardiser(training))
    loss = _standardised_mse(fit_standardiser(training).std_mm)
    target = training.target_mm.reshape(20, -1).astype(np.float32)
    predicted = np.asarray(model(np.full((20, 72), 0.5)))
    other = np.where(np.isnan(target), 1e6, predicted)

    assert np.isfinite(keras.ops.convert_to_numpy(loss(target, predicted))).all()
    np.testing.assert_array_equal(loss(target, predicted), loss(target, other))


def batches_of(vectors):
    """Return training batches with the detector's errors on validation objects."""
    return NoisyBatches(vectors.xy_true[:20], vectors.target_mm[:20], detector_errors(vectors.where("val")), seed=0)
