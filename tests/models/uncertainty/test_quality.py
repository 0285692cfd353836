"""Quality scores of predictions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.datasets.synthetic import make_body
from featurelib.geometry import LandmarkSet, mirror_landmarks, mirror_permutation
from featurelib.meshes.template import build_template, locate
from featurelib.models.uncertainty import quality

SWAPPED = mirror_permutation(LandmarkSet.single_pair("ear"))


@pytest.fixture(scope="module")
def shape():
    """A body's vertices, faces and pair, and the mean shape of that body alone."""
    body = make_body(np.random.default_rng(1))
    vertices_mm, faces = np.asarray(body.vertices_mm, np.float64), body.faces
    return vertices_mm, faces, body.landmarks_mm, build_template([(vertices_mm, faces, body.landmarks_mm)])


def test_the_mean_shape_itself_has_small_scores(shape) -> None:
    vertices_mm, faces, landmarks_mm, template = shape
    scores = quality.shape_scores(locate(template, vertices_mm, faces))

    assert set(scores) <= set(quality.SCORE_TEXTS)
    assert scores["shape"] < 0.3
    assert (np.asarray(scores["surroundings"]) < 0.3).all()
    assert scores["size"] < 1
    assert scores["rotation"] < 1
    assert (quality.disagreement_scores(landmarks_mm, landmarks_mm)["disagreement"] == 0).all()


def test_size_and_rotation_do_not_change_the_shape_score(shape) -> None:
    """Twice as large is 100 % larger, half as large 100 % smaller by a factor; neither changes the fit."""
    vertices_mm, faces, _, template = shape
    turn = Rotation.from_rotvec(np.radians([0, 20, 0])).as_matrix()
    middle = vertices_mm.mean(axis=0)

    large, small = (quality.shape_scores(locate(template, k * vertices_mm, faces)) for k in (2, 0.5))
    turned = quality.shape_scores(locate(template, (vertices_mm - middle) @ turn.T, faces))

    assert large["size"] == pytest.approx(100, abs=2)
    assert small["size"] == pytest.approx(100, abs=2)
    assert large["shape"] == pytest.approx(small["shape"], abs=0.1)
    assert turned["rotation"] == pytest.approx(20, abs=1)


def test_a_missing_part_raises_the_score_of_its_side(shape) -> None:
    """Cutting off the left landmark's surroundings raises the left score."""
    vertices_mm, faces, landmarks_mm, template = shape
    away = np.linalg.norm(vertices_mm - landmarks_mm[0], axis=1)
    reach = 0.1 * np.linalg.norm(np.ptp(vertices_mm, axis=0))
    left, right = quality.shape_scores(locate(template, vertices_mm, faces[(away[faces] > reach).all(axis=1)]))[
        "surroundings"
    ]

    assert left > 2 * right


def test_the_best_view_decides_about_visibility() -> None:
    visible = np.array([[0.1, 0.0], [0.9, 0.2], [0.3, 0.1]])

    assert quality.detector_scores(visible)["unseen"] == pytest.approx([0.1, 0.8])
    assert quality.detector_scores(np.full((3, 2), np.nan)) == {}


def test_scores_of_the_mirrored_pair_are_mirrored() -> None:
    landmarks_mm, located_mm = np.random.default_rng(0).normal(size=(2, 2, 3))

    straight = quality.disagreement_scores(landmarks_mm, located_mm)["disagreement"]
    mirrored = quality.disagreement_scores(
        mirror_landmarks(landmarks_mm, SWAPPED), mirror_landmarks(located_mm, SWAPPED)
    )["disagreement"]

    np.testing.assert_allclose(mirrored, np.asarray(straight)[::-1])
