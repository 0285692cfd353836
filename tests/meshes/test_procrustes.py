import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.meshes.procrustes import align_shapes

POINTS = 100 * np.random.default_rng(0).normal(size=(30, 3))


def moved(points, seed: int) -> np.ndarray:
    """Return points that are rotated, scaled and moved at random."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2) * points @ Rotation.random(rng=rng).as_matrix().T + 100 * rng.normal(size=3)


def test_similar_shapes_become_equal():
    """Without noise every shape is the initial one, whatever its pose and size."""
    aligned = align_shapes(np.array([moved(POINTS, seed) for seed in range(5)]), POINTS)

    np.testing.assert_allclose(aligned.shapes_mm, np.broadcast_to(POINTS, (5, 30, 3)), atol=1e-9)
    np.testing.assert_allclose(aligned.mean_mm, POINTS, atol=1e-9)
    assert aligned.weights == pytest.approx(1)


def test_mirror_images_stay_different():
    """A reflection is no rotation."""
    aligned = align_shapes(np.array([POINTS, POINTS * [-1, 1, 1]]), POINTS)

    assert np.linalg.norm(aligned.shapes_mm[0] - aligned.shapes_mm[1], axis=1).mean() > 50


def test_points_that_vary_count_less():
    """The shapes agree where most points do, and one that moves by itself has a small weight."""
    shapes = np.array([moved(POINTS + (np.arange(30) == 4)[:, None] * 60 * seed, seed) for seed in range(5)])

    aligned = align_shapes(shapes, POINTS)

    others = np.delete(aligned.shapes_mm, 4, axis=1)
    assert np.ptp(others, axis=0).max() < 5
    assert aligned.weights.argmin() == 4
    assert aligned.weights[4] < 0.02
    assert aligned.weights.mean() == pytest.approx(1)
