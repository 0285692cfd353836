"""The pose search, on an ellipsoid with bumps that is registered to itself."""

import numpy as np
import pytest

from featurelib.meshes import Mesh, pose_search
from featurelib.meshes.pose_search import ReferenceShape, extent_of, registrations
from featurelib.meshes.registration import Target, angle_deg


@pytest.fixture
def search(head):
    """A function that registers a head to itself from initial rotations."""
    vertices, faces, _ = head()
    mesh = Mesh.smooth(vertices, faces)

    def search(rotations, *, unrotated: bool):
        target = Target.sample(vertices, faces)
        return registrations(ReferenceShape.of(mesh), target, extent_of(mesh), rotations, unrotated=unrotated)

    return search


@pytest.mark.parametrize(("rotations", "unrotated", "count"), [([], True, 1), ([np.eye(3)], True, 2), ([], False, 0)])
def test_every_start_gives_a_registration(search, rotations, unrotated, count):
    """A shape is registered to itself from each initial rotation and from the matched bounding boxes."""
    fits = search(rotations, unrotated=unrotated)

    assert len(fits) == count
    for fit in fits:
        assert angle_deg(fit.rotation) < 1
        assert fit.scale == pytest.approx(1, abs=0.01)


def test_a_registration_with_an_implausible_scale_is_omitted(search, monkeypatch):
    """The scale of a shape registered to itself is 1, which is outside these limits."""
    monkeypatch.setattr(pose_search, "SCALE_LIMITS", (1.5, 2.0))

    assert search([np.eye(3)], unrotated=True) == []
