"""The detector's network and its two phases, at the smallest size."""

from functools import partial

import keras
import numpy as np
import pytest

from featurelib.errors import DataError, UsageError
from featurelib.geometry import LandmarkSet
from featurelib.models.detector import training
from featurelib.models.detector.checkpoint import Checkpoint
from featurelib.models.detector.heads import HEADS
from featurelib.models.detector.network import batch_norms, build_detector
from featurelib.models.detector.recipe import Recipe
from featurelib.models.detector.samples import Batch, Labels, as_rgb
from featurelib.models.detector.training import fit


@pytest.fixture
def model():
    """An untrained detector of 32 px."""
    keras.utils.set_random_seed(0)
    return build_detector(PAIR, head="regression", alpha=0.35, input_size=32, weights="none")


HEAD = HEADS["regression"]
PAIR = LandmarkSet.single_pair("ear")


def batches(epoch=0, count=3, size=8):
    """Yield random images and positions, the same in every epoch."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        images = rng.integers(0, 256, (size, 32, 32, 1)).astype(np.uint8)
        points = rng.random((size, 2, 2)).astype(np.float32)
        near, ones = rng.integers(0, 2, (size, 1)).astype(np.int32), np.ones((size, 2), np.float32)
        yield Batch(images, Labels(points, ones, near, ones, np.ones(size, np.float32)))


def statistics(model):
    """Return the moving means and variances of all BatchNorm layers."""
    layers = batch_norms(model.get_layer("backbone"))
    return [values.numpy() for layer in layers for values in (layer.moving_mean, layer.moving_variance)]


def trained(model, checkpoint=None, **recipe):
    """Train on a few batches and return the checkpoint of each epoch."""
    checkpoints = []
    fit(model, HEAD, Recipe(batch_size=8, **recipe), batches, batches, checkpoints.append, checkpoint=checkpoint)
    return checkpoints


def test_the_regression_head_has_the_documented_layers(model):
    """Pooling, 256 and 128 units with L2 and dropout 0.4 and 0.3, two sigmoids; the model scales its input."""
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


def test_batch_norm_keeps_its_statistics_in_an_unfrozen_backbone(model):
    """In Keras 3 an unfrozen BatchNorm would train, and its statistics would lag; here they do not change."""
    before = statistics(model)
    weights = [w.numpy() for w in model.get_layer("backbone").trainable_weights]
    trained(model, epochs=1, frozen_epochs=0, pretrained=True)

    assert all(np.array_equal(a, b) for a, b in zip(before, statistics(model), strict=True))
    after = [w.numpy() for w in model.get_layer("backbone").trainable_weights]
    assert not all(np.array_equal(a, b) for a, b in zip(weights, after, strict=True))


def test_an_untrained_backbone_learns_its_statistics(model):
    """There is no frozen phase, and BatchNorm learns from the first step."""
    before = statistics(model)
    rows = trained(model, epochs=2, frozen_epochs=1, pretrained=False)[-1].rows

    assert [row.phase for row in rows] == ["tune", "tune"]
    assert not any(np.array_equal(a, b) for a, b in zip(before, statistics(model), strict=True))


def test_the_backbone_is_frozen_up_to_a_layer(model):
    """Layers up to `frozen_to` do not change in the second phase; later ones do."""
    backbone = model.get_layer("backbone")
    names = [layer.name for layer in backbone.layers]
    held = names.index("block_2_add") + 1
    before = [[w.numpy() for w in layer.weights] for layer in backbone.layers]
    trained(model, epochs=1, frozen_epochs=0, frozen_to="block_2_add", finetune_learning_rate=1.0)

    moved = [
        not all(np.array_equal(a, b.numpy()) for a, b in zip(arrays, layer.weights, strict=True))
        for arrays, layer in zip(before, backbone.layers, strict=True)
    ]
    assert not any(moved[:held])
    assert any(moved[held:])


def test_the_first_phase_does_not_change_the_backbone(model):
    """Only the head trains."""
    backbone, head = model.get_layer("backbone"), model.layers[-1]
    before, first = [w.numpy() for w in backbone.weights], head.kernel.numpy()
    rows = trained(model, epochs=1, frozen_epochs=1)[-1].rows

    assert [row.phase for row in rows] == ["frozen"]
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, backbone.weights, strict=True))
    assert not np.array_equal(first, head.kernel.numpy())


def test_the_model_ends_with_its_best_weights(model):
    """A training without improvement ends after `patience` epochs, with the weights of its best epoch."""
    last = trained(model, epochs=9, frozen_epochs=9, head_learning_rate=10.0, patience=2)[-1]

    assert len(last.rows) == last.best_row.epoch + 3 < 9
    assert all(np.array_equal(a, b) for a, b in zip(last.best, model.get_weights(), strict=True))
    found = [(np.array(model(as_rgb(p).astype(np.float32), training=False)), labels) for p, labels in batches()]
    errors = [np.linalg.norm(xy - labels.points[range(8), labels.near[:, 0]], axis=-1) for xy, labels in found]
    assert 100 * np.mean(errors) == pytest.approx(last.best_row.val_error_pct, rel=1e-4)


RESUMED = {"epochs": 4, "frozen_epochs": 2}


@pytest.fixture(scope="module")
def uninterrupted():
    """The checkpoints of a training of two phases, and its final weights."""
    keras.utils.set_random_seed(0)
    network = build_detector(PAIR, head="regression", alpha=0.35, input_size=32, weights="none")
    return trained(network, **RESUMED), network.get_weights()


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_resumed_training_equals_an_uninterrupted_one(uninterrupted, stop_after):
    """Metrics and weights are equal if it resumes before, at or after the change of phases."""
    undisturbed, weights = uninterrupted
    keras.utils.set_random_seed(5)
    other = build_detector(PAIR, head="regression", alpha=0.35, input_size=32, weights="none")
    again = Checkpoint.from_bytes(undisturbed[stop_after - 1].to_bytes({"a": 1}), {"a": 1})
    resumed = trained(other, again, **RESUMED)

    assert again.next_epoch == stop_after
    assert len(resumed) == 4 - stop_after
    for row, expected in zip(resumed[-1].rows, undisturbed[-1].rows, strict=True):
        assert row[:6] == expected[:6]
    assert all(np.array_equal(a, b) for a, b in zip(weights, other.get_weights(), strict=True))


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_preempted_training_resumes_within_its_epoch(monkeypatch, epoch):
    """It saves once in each epoch after the notice; what resumes from there ends with the same weights."""
    monkeypatch.setattr(training, "NOTICE_STEPS", 2)
    passes = partial(batches, count=6)
    recipe = Recipe(batch_size=8, **RESUMED)
    saved, weights = [], []
    for start in (None, epoch):
        keras.utils.set_random_seed(0)
        model = build_detector(PAIR, head="regression", alpha=0.35, input_size=32, weights="none")
        of_epoch = [c for c in saved if c.next_epoch == start and c.steps]
        checkpoint = Checkpoint.from_bytes(of_epoch[0].to_bytes({}), {}) if of_epoch else None
        fit(model, HEAD, recipe, passes, passes, saved.append, checkpoint=checkpoint, is_preempted=lambda: not weights)
        weights.append(model.get_weights())

    assert [(c.next_epoch, c.steps) for c in saved[:8]] == [(e + (not s), s) for e in range(4) for s in (2, 0)]
    assert [c.next_epoch for c in saved[8:]] == list(range(epoch + 1, 5))
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_resuming_a_finished_training_sets_its_best_weights(model):
    """It runs no further epoch."""
    last = trained(model, epochs=2, frozen_epochs=1)[-1]
    weights = model.get_weights()
    model.set_weights([0 * w for w in weights])

    assert trained(model, last, epochs=2, frozen_epochs=1) == []
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))


def test_padding_has_no_effect(model):
    """Samples of weight 0 change neither the losses nor the errors."""

    def padded(epoch):
        for images, labels in batches():
            doubled = Labels(*(np.concatenate([part, part[::-1]]) for part in labels))
            doubled.weight[8:] = 0
            yield Batch(np.concatenate([images, 255 - images]), doubled)

    weights, found = model.get_weights(), []
    for passes in (batches, padded):
        keras.utils.set_random_seed(0)
        model.set_weights(weights)
        for layer in model.layers:
            layer.rate = 0.0  # dropout depends on the position in the batch
        fit(model, HEAD, Recipe(batch_size=8, epochs=1, frozen_epochs=1), passes, passes, found.append)

    plain, filled = (checkpoint.rows[0] for checkpoint in found)
    np.testing.assert_allclose(filled[2:6], plain[2:6], rtol=1e-5)


def test_samples_without_a_near_landmark_are_left_out_of_the_error(model):
    """The error is the mean over samples that have one; without any the message says what to label."""

    def partly(epoch, known=4):
        for images, labels in batches():
            labels.near[known:] = -1
            yield Batch(images, labels)

    def halved(epoch):
        for images, labels in batches():
            yield Batch(images[:4], Labels(*(part[:4] for part in labels)))

    found = []
    for passes in (partly, halved):
        recipe = Recipe(batch_size=8, epochs=1, frozen_epochs=1, head_learning_rate=0.0)
        fit(model, HEAD, recipe, batches, passes, found.append)

    assert found[0].rows[0].val_error_pct == pytest.approx(found[1].rows[0].val_error_pct, rel=1e-5)
    with pytest.raises(DataError, match="no view has a pair with both labels"):
        fit(model, HEAD, Recipe(batch_size=8, epochs=1), batches, partial(partly, known=0), found.append)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 0.4}, "--alpha 0.4: expected one of"),
        ({"input_size": 100}, "--input-size 100: expected a multiple of 32"),
        ({"head": "guess"}, "--head guess: expected one of regression, heatmap"),
    ],
)
def test_impossible_networks_are_rejected(arguments, words):
    """The message has the flag, the value and the possible values."""
    with pytest.raises(UsageError, match=words):
        build_detector(PAIR, **{"alpha": 0.35, "input_size": 32, "weights": "none"} | arguments)


def test_weights_of_another_width_are_rejected(model, tmp_path):
    """Weights of another alpha are rejected; those of the same alpha are loaded."""
    backbone = model.get_layer("backbone")
    arrays = {variable.path.removeprefix("backbone/"): variable.numpy() for variable in backbone.weights}
    np.savez(tmp_path / "w.npz", **arrays)
    again = build_detector(PAIR, head="regression", alpha=0.35, input_size=32, weights=str(tmp_path / "w.npz"))

    same = zip(backbone.weights, again.get_layer("backbone").weights, strict=True)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in same)
    with pytest.raises(DataError, match="another alpha"):
        build_detector(PAIR, alpha=0.5, input_size=32, weights=str(tmp_path / "w.npz"))
    with pytest.raises(DataError, match="no such file"):
        build_detector(PAIR, alpha=0.35, input_size=32, weights=str(tmp_path / "gone.h5"))
