"""The network's output shape, and its loss."""

import numpy as np
import pytest
import tensorflow as tf

from featurelib.errors import UsageError
from featurelib.models.refiner.network import build_network
from featurelib.models.refiner.stages import NETWORKS
from featurelib.models.refiner.training import StageRecipe, _losses
from featurelib.models.soft_argmax import cell_centres, map_moments


def _bells(xy: np.ndarray, count: int, sigma_cells: float) -> np.ndarray:
    """Return logits (n, count, count) of Gaussians."""
    cells = (cell_centres(count, np.float64) - xy[:, :, None]) * count / sigma_cells
    return -(cells[:, 1, :, None] ** 2 + cells[:, 0, None, :] ** 2) / 2


def test_the_map_has_half_the_images_resolution() -> None:
    model = build_network(32, width=4)

    assert model(np.zeros((2, 32, 32, 3), np.float32)).shape == (2, NETWORKS, 16, 16)


def test_the_networks_of_a_stage_share_no_weights() -> None:
    """They have the same input, and different outputs."""
    model = build_network(32, width=4)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    maps = model(images).numpy()

    assert not np.allclose(maps[:, 0], maps[:, 1])
    assert model.count_params() == NETWORKS * build_network(32, width=4, networks=1).count_params()


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 16"):
        build_network(40)


def test_training_and_inference_find_the_same_positions() -> None:
    """The distance of an image in training is the mean over its networks."""
    logits = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
    xy = np.random.default_rng(1).uniform(size=(4, 2)).astype(np.float32)
    distances = _losses(tf.constant(logits), tf.constant(xy), StageRecipe())[1].numpy()

    expected = np.linalg.norm(map_moments(logits).xy - xy[:, None], axis=-1).mean(axis=1)
    assert np.allclose(distances, expected, atol=1e-5)


def test_the_loss_is_zero_only_for_the_target_map() -> None:
    xy = np.array([[0.4, 0.6]])
    target, wider = (
        _losses(tf.constant(_bells(xy, 32, s)[:, None], tf.float32), tf.constant(xy, tf.float32), StageRecipe())[
            0
        ].numpy()
        for s in (1.0, 3.0)
    )

    assert abs(target[0]) < 1e-3
    assert wider[0] > 0.1
