"""Registration by iterative closest points, on ellipsoids with bumps."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.meshes.registration import Target, angle_deg, register
from featurelib.meshes.surface import sample_surface
from featurelib.meshes.template import Template


@pytest.mark.parametrize("degrees", [0, 10, 25])
def test_registering_recovers_a_known_similarity(head, degrees: float) -> None:
    """Points of a shape are registered to its rotated, scaled and translated copy."""
    vertices, faces, _ = head()
    points = sample_surface(vertices, faces, 1500, seed=5)
    rotation = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, -0.48, 0.64])).as_matrix()
    scale, shift = 1.3, np.array([40.0, -25.0, 300.0])

    found = register(points, Target.sample(scale * vertices @ rotation.T + shift, faces))

    assert found.scale == pytest.approx(scale, rel=1e-3)
    np.testing.assert_allclose(found.rotation, rotation, atol=2e-3)
    np.testing.assert_allclose(found.to_object(points), scale * points @ rotation.T + shift, atol=0.3)
    assert angle_deg(found.rotation) == pytest.approx(degrees, abs=0.2)
    assert found.residual_mm < 0.1


def test_a_registration_is_an_invertible_similarity(family, mean: Template) -> None:
    """The rotation is proper, the scale positive, and `to_template` inverts `to_object`."""
    vertices, faces, _ = family(1, seed=7)[0]

    found = register(mean.points_mm, Target.sample(vertices, faces))

    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert found.scale > 0
    np.testing.assert_allclose(found.to_template(found.to_object(mean.points_mm)), mean.points_mm, atol=1e-9)


def test_a_registration_ignores_a_missing_part(head) -> None:
    """A shape that is cut off at the bottom is registered by the remaining part."""
    vertices, faces, _ = head(grid=(80, 60))
    points = sample_surface(vertices, faces, 1500, seed=5)
    cut = faces[(vertices[faces][:, :, 1] > np.quantile(vertices[:, 1], 0.1)).all(axis=1)]
    used, renumbered = np.unique(cut, return_inverse=True)

    found = register(points, Target.sample(vertices[used], renumbered.reshape(-1, 3)))

    assert found.scale == pytest.approx(1, rel=0.01)
    np.testing.assert_allclose(found.to_object(points), points, atol=1.5)
