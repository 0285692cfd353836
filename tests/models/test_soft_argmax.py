"""Positions and covariances of maps."""

import numpy as np
import pytest

from featurelib.models.soft_argmax import cell_centres, map_moments

HEIGHT, WIDTH = 24, 32
CENTRES = np.array([[[0.5, 0.5], [0.4137, 0.6213]], [[0.61, 0.33], [0.3, 0.7]]])  # (n, k, 2)


def bells(xy, sigma_cells=1.5):
    """Return logits (..., h, w) of Gaussians at xy (..., 2)."""
    dx = (cell_centres(WIDTH, np.float64) - xy[..., :1]) * WIDTH / sigma_cells
    dy = (cell_centres(HEIGHT, np.float64) - xy[..., 1:]) * HEIGHT / sigma_cells
    return -(dy[..., :, None] ** 2 + dx[..., None, :] ** 2) / 2


def test_a_gaussian_has_its_centre_and_its_covariance():
    """Along x the standard deviation is sigma / width, along y sigma / height; also between cell centres."""
    found = map_moments(bells(CENTRES))

    np.testing.assert_allclose(found.xy * (WIDTH, HEIGHT), CENTRES * (WIDTH, HEIGHT), atol=1e-3)
    expected = np.diag([(1.5 / WIDTH) ** 2, (1.5 / HEIGHT) ** 2])
    np.testing.assert_allclose(found.covariance, np.broadcast_to(expected, (2, 2, 2, 2)), atol=2e-6)
    np.testing.assert_allclose(found.spread, np.sqrt(np.trace(expected) / 2), rtol=1e-3)


def test_two_cells_on_a_diagonal_have_the_known_covariance():
    """The expected covariance is calculated by hand."""
    logits = np.full((HEIGHT, WIDTH), -np.inf, np.float32)
    logits[10, 20] = logits[13, 24] = 0.0  # two cells, 4 apart along x and 3 along y
    found = map_moments(logits)

    np.testing.assert_allclose(found.xy, [22.5 / WIDTH, 12.0 / HEIGHT], atol=1e-12)
    offset = np.array([2 / WIDTH, 1.5 / HEIGHT])
    np.testing.assert_allclose(found.covariance, np.outer(offset, offset), atol=1e-12)


def test_a_flipped_map_has_the_mirrored_position():
    """The position is at 1 - x, with the same variances and the opposite correlation."""
    logits = np.random.default_rng(0).normal(size=(5, HEIGHT, WIDTH))
    found, flipped = map_moments(logits), map_moments(logits[..., ::-1])

    np.testing.assert_allclose(flipped.xy, found.xy * (-1, 1) + (1, 0), atol=1e-12)
    np.testing.assert_allclose(flipped.covariance, found.covariance * np.array([[1, -1], [-1, 1]]), atol=1e-12)
    np.testing.assert_allclose(flipped.spread, found.spread)


@pytest.mark.parametrize("count", [1, 16, 17, 80])
def test_each_map_has_its_own_moments(count):
    """The result of a map does not depend on the others, nor on the axis that counts them."""
    logits = np.random.default_rng(2).normal(size=(3, HEIGHT, WIDTH, count)).astype(np.float32)
    together = map_moments(np.moveaxis(logits, -1, 1))

    for i, k in np.ndindex(3, count):
        alone = map_moments(logits[i, ..., k])
        np.testing.assert_allclose(together.xy[i, k], alone.xy, atol=1e-12)
        np.testing.assert_allclose(together.covariance[i, k], alone.covariance, atol=1e-12)
    assert map_moments(np.empty((0, 2, HEIGHT, WIDTH))).covariance.shape == (0, 2, 2, 2)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_any_logits_give_finite_results(scale):
    """A map with one dominant cell has no spread, and a flat map has one."""
    found = map_moments(scale * np.random.default_rng(1).normal(size=(3, HEIGHT, WIDTH)))

    assert np.isfinite(found.xy).all()
    assert (np.linalg.eigvalsh(found.covariance) > -1e-12).all()
