"""Ways to corrupt a mesh."""

import numpy as np
import pytest

from featurelib.datasets.synthetic import make_body
from featurelib.evaluation.corruptions import CUT, KINDS
from featurelib.meshes import Mesh


@pytest.fixture(scope="module")
def body():
    found = make_body(np.random.default_rng(2), resolution_mm=9)
    return Mesh.smooth(found.vertices_mm, found.faces), found.pair_mm


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_mesh_is_a_mesh_and_another_one(body, kind) -> None:
    """Its faces index its vertices, all of which are used, and the original is as it was."""
    mesh, pair_mm = body
    before = mesh.vertices_mm.copy()

    corrupted, moved_mm = KINDS[kind](mesh, pair_mm)

    assert set(np.unique(corrupted.faces)) == set(range(len(corrupted.vertices_mm)))
    assert corrupted.vertices_mm.shape != mesh.vertices_mm.shape or not np.allclose(
        corrupted.vertices_mm, mesh.vertices_mm
    )
    assert np.array_equal(mesh.vertices_mm, before)
    assert moved_mm.shape == (2, 3)


@pytest.mark.parametrize("kind", ["turned about x", "turned about y", "turned about z", "twice as large"])
def test_the_landmarks_go_with_the_surface(body, kind) -> None:
    """They are vertices of the body before and after."""
    corrupted, moved_mm = KINDS[kind](*body)

    away = np.linalg.norm(corrupted.vertices_mm - moved_mm[:, None], axis=-1).min(axis=1)
    assert (away < 1e-2).all()


def test_what_is_cut_off_is_around_the_landmark(body) -> None:
    """Nothing is left within the radius, on that side alone."""
    mesh, pair_mm = body
    corrupted, _ = KINDS["left landmark cut off"](mesh, pair_mm)

    left, right = np.linalg.norm(corrupted.vertices_mm - pair_mm[:, None], axis=-1).min(axis=1)
    assert left > CUT * np.linalg.norm(np.ptp(mesh.bounds_mm, axis=0))
    assert right < 1e-2


def test_two_halves_are_less_than_the_whole(body) -> None:
    """The faces across the middle are in neither, and no face is in both."""
    mesh, pair_mm = body
    front, back = (KINDS[kind](mesh, pair_mm)[0] for kind in ("front half", "back half"))

    assert 0 < len(front.faces) + len(back.faces) < len(mesh.faces)
    assert front.bounds_mm[0, 2] > back.bounds_mm[1, 2]
