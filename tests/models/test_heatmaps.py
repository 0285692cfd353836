"""Positions and divergences of heatmaps, and their agreement with soft_argmax."""

import numpy as np
import pytest

from featurelib.models import heatmaps
from featurelib.models.soft_argmax import map_moments

HEIGHT, WIDTH = 24, 32
CENTRES = np.array([[[0.5, 0.5], [0.4137, 0.6213]], [[0.61, 0.33], [0.3, 0.7]]], np.float32)  # (n, k, 2)


def log_maps(xy=CENTRES, sigma_cells=1.5):
    """Return the log probabilities of Gaussians, as an array."""
    return np.asarray(heatmaps.gaussian(xy, HEIGHT, WIDTH, sigma_cells))


def test_the_mean_of_a_gaussian_is_its_centre():
    """The error is below a thousandth of a cell, also between cell centres."""
    found = np.asarray(heatmaps.means(log_maps()))

    np.testing.assert_allclose(found * (WIDTH, HEIGHT), CENTRES * (WIDTH, HEIGHT), atol=1e-3)


def test_maps_are_normalised_for_any_centre():
    """Also far outside the image, where each cell of a Gaussian would underflow to zero."""
    outside = np.array([[[-2.0, 0.5], [0.5, 3.0]]], np.float32)

    np.testing.assert_allclose(np.exp(log_maps(outside)).sum(axis=(1, 2)), 1.0, rtol=1e-4)


def test_the_divergence_is_a_distance_of_distributions():
    """It is 0 for equal maps, symmetric, and ln 2 for disjoint maps."""
    here, there = log_maps(), log_maps(CENTRES[::-1])
    apart = np.asarray(heatmaps.jensen_shannon(log_maps(CENTRES * 0 + 0.1, 0.3), log_maps(CENTRES * 0 + 0.9, 0.3)))

    np.testing.assert_allclose(heatmaps.jensen_shannon(here, here), 0, atol=1e-6)
    np.testing.assert_allclose(heatmaps.jensen_shannon(here, there), heatmaps.jensen_shannon(there, here), rtol=1e-5)
    np.testing.assert_allclose(apart, np.log(2), rtol=1e-5)


def test_training_and_inference_find_the_same_positions():
    """The Keras operations of the loss and the arrays of inference have the same means."""
    scores = np.random.default_rng(0).normal(size=(2, HEIGHT, WIDTH, 2)).astype(np.float32)
    found = map_moments(np.moveaxis(scores, -1, 1)).xy

    np.testing.assert_allclose(found, heatmaps.means(heatmaps.log_probabilities(scores)), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_any_logits_give_finite_results(scale):
    """A map with one dominant cell and a flat map have finite positions."""
    scores = scale * np.random.default_rng(1).normal(size=(3, HEIGHT, WIDTH, 2)).astype(np.float32)
    log_p = heatmaps.log_probabilities(scores)

    assert np.isfinite(heatmaps.means(log_p)).all()
    assert np.isfinite(heatmaps.jensen_shannon(log_p, log_maps(np.zeros((3, 2, 2), np.float32) + 0.5))).all()
