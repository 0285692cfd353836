"""Corruptions of meshes."""

import numpy as np
import pytest

from featurelib.datasets.synthetic import LANDMARKS, make_body
from featurelib.evaluation.corruptions import CUT, kinds
from featurelib.geometry import LandmarkSet
from featurelib.meshes import Mesh

PAIR = LandmarkSet.single_pair("ear")
KINDS = kinds(PAIR)


@pytest.fixture(scope="module")
def body():
    found = make_body(np.random.default_rng(2), resolution_mm=9)
    return Mesh.smooth(found.vertices_mm, found.faces), found.landmarks_mm


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupted_mesh_is_another_valid_mesh(body, kind) -> None:
    """Its faces use all of its vertices, and the original is unchanged."""
    mesh, landmarks_mm = body
    before = mesh.vertices_mm.copy()

    corrupted, moved_mm = KINDS[kind](mesh, landmarks_mm)

    assert set(np.unique(corrupted.faces)) == set(range(len(corrupted.vertices_mm)))
    assert corrupted.vertices_mm.shape != mesh.vertices_mm.shape or not np.allclose(
        corrupted.vertices_mm, mesh.vertices_mm
    )
    assert np.array_equal(mesh.vertices_mm, before)
    assert moved_mm.shape == (2, 3)


@pytest.mark.parametrize("kind", ["rotated about x", "rotated about y", "rotated about z", "twice as large"])
def test_landmarks_move_with_the_surface(body, kind) -> None:
    """They are vertices of the body before and after."""
    corrupted, moved_mm = KINDS[kind](*body)

    away = np.linalg.norm(corrupted.vertices_mm - moved_mm[:, None], axis=-1).min(axis=1)
    assert (away < 1e-2).all()


def test_the_surroundings_of_one_landmark_are_cut_off(body) -> None:
    """No vertex is left within the radius, and the other side is unchanged."""
    mesh, landmarks_mm = body
    corrupted, _ = KINDS["left landmark cut off"](mesh, landmarks_mm)

    left, right = np.linalg.norm(corrupted.vertices_mm - landmarks_mm[:, None], axis=-1).min(axis=1)
    assert left > CUT * np.linalg.norm(np.ptp(mesh.bounds_mm, axis=0))
    assert right < 1e-2


def test_two_halves_are_less_than_the_whole(body) -> None:
    """The faces across the middle are in neither half, and no face is in both."""
    mesh, landmarks_mm = body
    front, back = (KINDS[kind](mesh, landmarks_mm)[0] for kind in ("front half", "back half"))

    assert 0 < len(front.faces) + len(back.faces) < len(mesh.faces)
    assert front.bounds_mm[0, 2] > back.bounds_mm[1, 2]


def test_a_set_loses_a_pair_or_its_first_landmark() -> None:
    """All landmarks stay in their order; one without a label takes nothing with it."""
    found = make_body(np.random.default_rng(2), resolution_mm=9, landmarks=LANDMARKS)
    mesh = Mesh.smooth(found.vertices_mm, found.faces)
    midline = LandmarkSet(midline=("nose", "chin"))

    assert list(kinds(LANDMARKS)) == list(KINDS)
    assert next(iter(kinds(midline))) == "landmark cut off"
    corrupted, moved_mm = kinds(LANDMARKS)["both landmarks cut off"](mesh, found.landmarks_mm)
    assert np.array_equal(moved_mm, found.landmarks_mm)
    away = np.linalg.norm(corrupted.vertices_mm - moved_mm[:, None], axis=-1).min(axis=1)
    assert (away[:2] > 1).all()
    unlabelled = np.where(np.arange(len(moved_mm))[:, None] == 0, np.nan, moved_mm)
    left, _ = kinds(LANDMARKS)["left landmark cut off"](mesh, unlabelled)
    assert len(left.faces) == len(mesh.faces)
