import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.meshes import Mesh
from featurelib.meshes.reference import build_reference, fit_to


def mesh_of(body, turn=None) -> Mesh:
    turn = np.eye(3) if turn is None else turn
    return Mesh.smooth(body.vertices_mm @ turn.T, body.faces)


@pytest.fixture(scope="module")
def bodies():
    return [make_body(seed, resolution_mm=10) for seed in range(12)]


@pytest.fixture(scope="module")
def reference(bodies):
    return build_reference([mesh_of(body) for body in bodies])


def test_the_reference_fits_what_it_was_made_from(bodies, reference):
    """Every bust is near the mean, in its pose."""
    fits = [fit_to(mesh_of(body), reference, body.pair_mm) for body in bodies]

    assert max(fit.misfit for fit in fits) < 0.015
    assert max(fit.turn_deg for fit in fits) < 25


QUARTERS = Rotation.create_group("O")
TURNS = Rotation.concatenate([QUARTERS[QUARTERS.magnitude() > 0], Rotation.random(12, rng=6)])
"""All that exchange axes, and twelve others by 62 degrees or more."""


@pytest.mark.parametrize("turn", TURNS.as_matrix(), ids=range(len(TURNS)))
def test_an_object_in_other_axes_fits_in_its_turn(bodies, reference, turn):
    """However an object is turned, its landmarks lie where they lie unturned, and the rotation tells the turn."""
    body = bodies[7]

    straight = fit_to(mesh_of(body), reference, body.pair_mm)
    turned = fit_to(mesh_of(body, turn), reference, body.pair_mm @ turn.T)

    assert turned.pair == pytest.approx(straight.pair, abs=0.02)
    assert np.degrees(Rotation.from_matrix(turned.rotation.T @ turn @ straight.rotation).magnitude()) < 3


def test_a_minority_in_other_axes_does_not_bend_the_reference(bodies, reference):
    """With a third of the sample upside down the mean shape is that of the others."""
    upside_down = np.diag([-1.0, -1.0, 1.0])

    mixed = build_reference([mesh_of(body, upside_down if i % 3 == 0 else None) for i, body in enumerate(bodies)])

    fit = fit_to(mesh_of(bodies[1]), mixed, None)
    assert fit.turn_deg < 25
    assert fit.misfit < 0.015
    assert fit.pair is None
    assert np.corrcoef(mixed.shares, reference.shares)[0, 1] > 0.95


def test_one_mesh_is_its_own_reference(bodies):
    """A dataset of one object is compared with itself."""
    mesh = mesh_of(bodies[0])

    fit = fit_to(mesh, build_reference([mesh]), None)

    assert fit.turn_deg < 1
    assert fit.misfit < 2e-3
