"""The detector's network and its two phases, at the smallest size there is."""

import keras
import numpy as np
import pytest

from featurelib.detector.network import batch_norms, build_detector, freeze_backbone
from featurelib.detector.training import Recipe, fit
from featurelib.errors import DataError, UsageError


@pytest.fixture
def model():
    """An untrained detector of 32 px."""
    keras.utils.set_random_seed(0)
    return build_detector(alpha=0.35, input_size=32, weights="none")


def batches(count=3, size=8):
    """Random pictures and positions."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, size, 32, 32, 3)).astype(np.float32)
    return list(zip(pictures, rng.random((count, size, 2)).astype(np.float32), strict=True))


def statistics(model):
    """The moving means and variances of every BatchNorm."""
    layers = batch_norms(model.get_layer("backbone"))
    return [np.array(values) for layer in layers for values in (layer.moving_mean, layer.moving_variance)]


def trained(model, **recipe):
    """Train for a moment and return the rows of metrics.csv."""
    rows = []
    fit(model, Recipe(batch_size=8, **recipe), batches, batches, rows.append)
    return rows


def test_the_head_is_the_recipes(model):
    """Pooling, 256 and 128 units with L2 and dropout 0.4 and 0.3, two sigmoids; scaling is inside the model."""
    kinds = [type(layer).__name__ for layer in model.layers]
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]

    assert kinds == [
        *("InputLayer", "Rescaling", "Functional", "GlobalAveragePooling2D"),
        *("Dense", "Dropout", "Dense", "Dropout", "Dense"),
    ]
    assert [layer.units for layer in dense] == [256, 128, 2]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.4, 0.3]
    assert [layer.kernel_regularizer is not None for layer in dense] == [True, True, False]
    assert dense[-1].activation is keras.activations.sigmoid
    np.testing.assert_allclose(model.layers[1](np.array([0.0, 127.5, 255.0])), [-1, 0, 1])


def test_batch_norm_keeps_its_statistics_when_the_backbone_is_unfrozen(model):
    """The trap of Keras 3: unfrozen, BatchNorm trains and its statistics lag; here they do not move."""
    before = statistics(model)
    weights = np.array(model.get_layer("backbone").trainable_weights[0])
    trained(model, epochs=1, frozen_epochs=0, keep_statistics=True)

    assert all(np.array_equal(a, b) for a, b in zip(before, statistics(model), strict=True))
    assert not np.array_equal(weights, model.get_layer("backbone").trainable_weights[0])


def test_an_untrained_backbone_learns_its_statistics(model):
    """There is nothing to keep, and no frozen phase: BatchNorm follows the data from the first step."""
    before = statistics(model)
    rows = trained(model, epochs=2, frozen_epochs=1, keep_statistics=False)

    assert [row.phase for row in rows] == ["tune", "tune"]
    assert not any(np.array_equal(a, b) for a, b in zip(before, statistics(model), strict=True))


def test_the_first_phase_leaves_the_backbone_alone(model):
    """Only the head trains while the backbone is frozen."""
    backbone, head = model.get_layer("backbone"), model.layers[-1]
    before, first = [np.array(w) for w in backbone.weights], np.array(head.kernel)
    rows = trained(model, epochs=1, frozen_epochs=1)

    assert [row.phase for row in rows] == ["frozen"]
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.weights, strict=True))
    assert not np.array_equal(first, head.kernel)


def test_the_best_weights_are_left_in_the_model(model):
    """Training that only gets worse ends after `patience` epochs, with the weights of the first."""
    freeze_backbone(model, True)
    kept = []

    def on_epoch(row):
        if row.epoch == 0:
            kept.extend(model.get_weights())

    best = fit(
        model, Recipe(epochs=9, frozen_epochs=9, batch_size=8, head_rate=10.0, patience=2), batches, batches, on_epoch
    )

    if best.epoch == 0:
        assert all(np.array_equal(a, b) for a, b in zip(kept, model.get_weights(), strict=True))
    predicted = np.concatenate([np.array(model(pictures, training=False)) for pictures, _ in batches()])
    true = np.concatenate([xy for _, xy in batches()])
    assert np.mean((predicted - true) ** 2) == pytest.approx(best.val_loss, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 0.4}, "--alpha 0.4: expected one of"),
        ({"input_size": 100}, "--input-size 100: expected a multiple of 32"),
        ({"head": "guess"}, "--head guess: expected one of regression"),
    ],
)
def test_impossible_networks_are_refused(arguments, words):
    """The message names the flag, the value and what is possible."""
    with pytest.raises(UsageError, match=words):
        build_detector(**{"alpha": 0.35, "input_size": 32, "weights": "none"} | arguments)


def test_weights_of_another_width_are_refused(model, tmp_path):
    """A file of weights for one alpha does not fit another, and the message says so; its own width does."""
    backbone = model.get_layer("backbone")
    arrays = {variable.path.removeprefix("backbone/"): np.array(variable) for variable in backbone.weights}
    np.savez(tmp_path / "w.npz", **arrays)
    again = build_detector(alpha=0.35, input_size=32, weights=str(tmp_path / "w.npz"))

    same = zip(backbone.weights, again.get_layer("backbone").weights, strict=True)
    assert all(np.array_equal(a, b) for a, b in same)
    with pytest.raises(DataError, match="another alpha"):
        build_detector(alpha=0.5, input_size=32, weights=str(tmp_path / "w.npz"))
    with pytest.raises(DataError, match="no such file"):
        build_detector(alpha=0.35, input_size=32, weights=str(tmp_path / "gone.h5"))
