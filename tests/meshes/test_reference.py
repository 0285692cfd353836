import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.meshes import Mesh
from featurelib.meshes.reference import build_reference, fit_to
from featurelib.meshes.registration import angle_deg


def mesh_of(body, rotation=None) -> Mesh:
    rotation = np.eye(3) if rotation is None else rotation
    return Mesh.smooth(body.vertices_mm @ rotation.T, body.faces)


@pytest.fixture(scope="module")
def bodies():
    return [make_body(seed, resolution_mm=10) for seed in range(12)]


@pytest.fixture(scope="module")
def reference(bodies):
    return build_reference([mesh_of(body) for body in bodies])


def test_the_reference_fits_the_meshes_that_it_was_built_from(bodies, reference):
    """Every bust is close to the mean, in its own pose."""
    fits = [fit_to(mesh_of(body), reference, body.landmarks_mm) for body in bodies]

    assert max(fit.misfit for fit in fits) < 0.015
    assert max(fit.angle_deg for fit in fits) < 25


QUARTERS = Rotation.create_group("O")
ROTATIONS = Rotation.concatenate([QUARTERS[QUARTERS.magnitude() > 0], Rotation.random(12, rng=6)])
"""All rotations that exchange axes, and twelve others by at least 62 degrees."""


@pytest.mark.parametrize("rotation", ROTATIONS.as_matrix(), ids=range(len(ROTATIONS)))
def test_an_object_in_other_axes_fits_with_its_rotation(bodies, reference, rotation):
    """A rotated object has its landmarks at the same place of the reference, and the fit returns its rotation."""
    body = bodies[7]

    straight = fit_to(mesh_of(body), reference, body.landmarks_mm)
    rotated = fit_to(mesh_of(body, rotation), reference, body.landmarks_mm @ rotation.T)

    assert rotated.landmarks == pytest.approx(straight.landmarks, abs=0.02)
    assert angle_deg(rotated.rotation.T @ rotation @ straight.rotation) < 3


def test_a_minority_in_other_axes_does_not_distort_the_reference(bodies, reference):
    """If a third of the sample is upside down, the mean shape is that of the others."""
    upside_down = np.diag([-1.0, -1.0, 1.0])

    mixed = build_reference([mesh_of(body, upside_down if i % 3 == 0 else None) for i, body in enumerate(bodies)])

    fit = fit_to(mesh_of(bodies[1]), mixed, None)
    assert fit.angle_deg < 25
    assert fit.misfit < 0.015
    assert fit.landmarks is None
    assert np.corrcoef(mixed.radii, reference.radii)[0, 1] > 0.95


def test_one_mesh_is_its_own_reference(bodies):
    """The only object of a dataset fits itself."""
    mesh = mesh_of(bodies[0])

    fit = fit_to(mesh, build_reference([mesh]), None)

    assert fit.angle_deg < 1
    assert fit.misfit < 2e-3
