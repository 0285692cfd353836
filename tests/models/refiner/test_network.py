"""The network's output shape, and its loss."""

import numpy as np
import pytest
import tensorflow as tf

from featurelib.errors import UsageError
from featurelib.models.export import export_network
from featurelib.models.keras_models import load_model
from featurelib.models.refiner.network import build_network
from featurelib.models.refiner.samples import Labels
from featurelib.models.refiner.training import StageRecipe, _losses, _measure
from featurelib.models.soft_argmax import cell_centres, map_moments


def _bells(xy: np.ndarray, count: int, sigma_cells: float) -> np.ndarray:
    """Return logits (n, count, count) of Gaussians."""
    cells = (cell_centres(count, np.float64) - xy[:, :, None]) * count / sigma_cells
    return -(cells[:, 1, :, None] ** 2 + cells[:, 0, None, :] ** 2) / 2


def test_the_maps_have_half_the_images_resolution() -> None:
    model = build_network(32, channels=5, networks=2, presence=True, width=4)
    outputs = model(np.zeros((2, 32, 32, 3), np.float32))

    assert outputs["maps"].shape == (2, 2, 5, 16, 16)
    assert outputs["present"].shape == (2, 2, 5)
    assert set(build_network(32, width=4).output) == {"maps"}


def test_the_networks_of_a_stage_share_no_weights() -> None:
    """They have the same input, and different outputs."""
    model = build_network(32, channels=3, networks=2, width=4)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    maps = model(images)["maps"].numpy()

    assert not np.allclose(maps[:, 0], maps[:, 1])
    assert model.count_params() == 2 * build_network(32, channels=3, width=4).count_params()


def test_the_exported_network_gives_the_outputs_of_the_model() -> None:
    model = build_network(32, channels=3, presence=True, width=4)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    network = export_network(model)

    for name, expected in model(images).items():
        np.testing.assert_allclose(network(images)[name], expected.numpy(), atol=1e-3)
        np.testing.assert_allclose(load_model(network.keras)(images)[name], expected.numpy(), atol=1e-3)


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 16"):
        build_network(40)


def test_training_and_inference_find_the_same_positions() -> None:
    """The distance of an image in training is the mean over its networks."""
    logits = np.random.default_rng(0).normal(size=(4, 3, 2, 16, 16)).astype(np.float32)
    xy = np.random.default_rng(1).uniform(size=(4, 2, 2)).astype(np.float32)
    distances = _losses(tf.constant(logits), tf.constant(xy), StageRecipe())[1].numpy()

    expected = np.linalg.norm(map_moments(logits).xy - xy[:, None], axis=-1).mean(axis=1)
    assert np.allclose(distances, expected, atol=1e-5)


def test_the_loss_is_zero_only_for_the_target_map() -> None:
    xy = np.array([[0.4, 0.6]])
    target, wider = (
        _losses(
            tf.constant(_bells(xy, 32, s)[:, None, None], tf.float32),
            tf.constant(xy[:, None], tf.float32),
            StageRecipe(),
        )[0].numpy()
        for s in (1.0, 3.0)
    )

    assert abs(target[0, 0]) < 1e-3
    assert wider[0, 0] > 0.1


def test_only_weighted_landmarks_and_known_presence_count() -> None:
    """Wrong positions without a weight, and unknown presence, change neither loss nor distance."""
    random = np.random.default_rng(0)
    outputs = {
        "maps": tf.constant(random.normal(size=(4, 1, 3, 16, 16)), tf.float32),
        "present": tf.constant(random.normal(size=(4, 1, 3)), tf.float32),
    }
    xy, weights = random.uniform(size=(4, 3, 2)), np.array([[2.0, 1, 0]] * 4)
    present = np.array([[1.0, np.nan, 0]] * 4)
    labels = Labels(*(part.astype(np.float32) for part in (xy, weights, present)))
    wrong = xy.copy()
    wrong[:, 2] = 0
    odd = {**outputs, "present": outputs["present"] + tf.constant([0.0, 9, 0])}

    first = _measure(outputs, labels, StageRecipe())
    again = _measure(odd, labels._replace(xy=wrong.astype(np.float32)), StageRecipe())
    other = _measure(outputs, labels._replace(present=labels.present * 0), StageRecipe())

    np.testing.assert_allclose(first, again, rtol=1e-6)
    assert np.isfinite(first).all()
    assert float(first[2]) == pytest.approx(12)
    assert not np.isclose(first[0], other[0])
