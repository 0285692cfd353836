"""Labelled crops: labels are the points' positions, and the same seed gives the same samples."""

import numpy as np

from featurelib.geometry import mirror_landmarks, mirror_permutation
from featurelib.meshes import Mesh
from featurelib.models.refiner.samples import AIMED_WEIGHT, INSIDE, Labels, crop_samples
from featurelib.models.refiner.stages import CropSize, InitialErrors

CROP_SIZE = CropSize(40.0, 32)


def _samples(side, initial_errors, anatomy, *, seed=0, count=20, crop_size=CROP_SIZE) -> tuple[np.ndarray, Labels]:
    mesh, points_mm, *absent = side
    side = mesh, points_mm, absent[0] if absent else np.zeros(len(points_mm), bool)
    return crop_samples(side, crop_size, initial_errors, anatomy.directions, np.random.default_rng(seed), count)


def test_the_label_is_the_position_of_a_small_object(pair) -> None:
    tips = np.vstack([np.eye(3), -np.eye(3)]) * 3.0
    octahedron = Mesh.smooth(tips, [[i, j, k] for i in (0, 3) for j in (1, 4) for k in (2, 5)])
    initial_errors = InitialErrors(np.empty((0, 3)), 4.0, turn_deg=40.0)

    images, labels = _samples((octahedron, np.zeros((1, 3))), initial_errors, pair, count=40)

    for image, label in zip(images, labels.xy[:, 0], strict=True):
        rows, columns = np.nonzero(image[..., 2])
        seen = (np.array([columns.mean(), rows.mean()]) + 0.5) / CROP_SIZE.size_px
        assert np.linalg.norm(seen - label) < 0.5 / CROP_SIZE.size_px


def test_without_error_the_label_is_the_centre_in_any_pose(bumpy, pair) -> None:
    mesh, landmarks_mm = bumpy
    exact = InitialErrors(np.empty((0, 3)), 0.0, turn_deg=30.0)

    labels = _samples((mesh, landmarks_mm[:1]), exact, pair)[1]

    assert np.allclose(labels.xy, 0.5, atol=1e-6)
    assert (labels.weights == AIMED_WEIGHT).all()


def test_the_point_is_inside_the_crop_for_any_initial_error(bumpy, pair) -> None:
    mesh, landmarks_mm = bumpy
    wild = InitialErrors(np.full((5, 3), 300.0), 100.0)

    labels = _samples((mesh, landmarks_mm[:1]), wild, pair)[1]

    assert (np.linalg.norm(labels.xy[:, 0] - 0.5, axis=1) <= INSIDE + 1e-6).all()


def test_visible_landmarks_in_the_crop_are_labelled_and_no_others(knobbly, mixed) -> None:
    """A wide crop aims at one landmark; others have a weight if they face the camera, and unknown ones have none."""
    mesh, landmarks_mm = knobbly
    points = mixed.sides.points_mm(landmarks_mm)[0]
    points[1] = np.nan
    _, labels = _samples(
        (mesh, points), InitialErrors(np.empty((0, 3)), 2.0), mixed, count=200, crop_size=CropSize(110.0, 48)
    )

    assert (labels.weights[:, 1] == 0).all()
    assert np.isfinite(labels.xy).all()
    assert ((labels.weights == AIMED_WEIGHT).sum(axis=1) == 1).all()
    others = labels.weights == 1
    assert 0.1 < others.mean() < 0.7
    assert (np.abs(labels.xy[others] - 0.5) <= INSIDE + 1e-6).all()
    assert (np.isnan(labels.present) == (labels.weights == 0)).all()


def test_a_hidden_landmark_is_labelled_only_where_it_is_aimed_at(mixed) -> None:
    """A wall hides it from half of the directions; the landmark in front of the wall is labelled there."""
    corners = [[-90, -90, 0], [90, -90, 0], [90, 90, 0], [-90, 90, 0]]
    wall = Mesh.smooth(corners, [[0, 1, 2], [0, 2, 3]])
    points = np.array([[0.0, 0, 10], [0, 0, -10], [np.nan] * 3, [np.nan] * 3])
    _, labels = _samples(
        (wall, points), InitialErrors(np.empty((0, 3)), 1.0), mixed, count=80, crop_size=CropSize(60.0, 32)
    )

    both = (labels.weights > 0)[:, :2].all(axis=1)
    assert (labels.weights[:, :2].max(axis=1) == AIMED_WEIGHT).all()
    assert both.mean() < 0.7


def test_absent_landmarks_have_no_position_but_an_answer(knobbly, mixed) -> None:
    mesh, landmarks_mm = knobbly
    absent = np.array([False, True, False, False])
    side = mesh, mixed.sides.points_mm(landmarks_mm)[0], absent
    _, labels = _samples(side, InitialErrors(np.empty((0, 3)), 2.0), mixed, count=200, crop_size=CropSize(60.0, 32))

    assert (labels.weights[:, 1] == 0).all()
    assert set(labels.present[:, 1][np.isfinite(labels.present[:, 1])]) == {0.0}
    assert set(labels.present[:, 0][np.isfinite(labels.present[:, 0])]) == {1.0}
    assert ((labels.weights == AIMED_WEIGHT).any(axis=1) | (labels.present[:, 1] == 0)).all()


def test_a_side_without_known_landmarks_has_no_crops(bumpy, pair) -> None:
    images, labels = _samples((bumpy[0], np.full((1, 3), np.nan)), InitialErrors(np.empty((0, 3)), 2.0), pair)

    assert images.shape == (0, 32, 32, 3)
    assert labels.xy.shape == (0, 1, 2)


def test_the_mirrored_object_gives_the_samples_of_the_other_side(knobbly, mixed) -> None:
    mesh, landmarks_mm = knobbly
    mirrored_mm = mirror_landmarks(landmarks_mm, mirror_permutation(mixed.landmarks))
    initial_errors = InitialErrors(np.empty((0, 3)), 2.0)
    _, side = zip(mixed.sides.meshes(mesh), mixed.sides.points_mm(landmarks_mm), strict=True)

    first = _samples(side, initial_errors, mixed, seed=3)
    other = _samples((mesh.mirrored(), mixed.sides.points_mm(mirrored_mm)[0]), initial_errors, mixed, seed=3)

    assert (first[0] == other[0]).all()
    np.testing.assert_allclose(first[1].xy, other[1].xy, atol=1e-6)


def test_initial_errors_are_residuals_with_noise_of_half_their_size() -> None:
    residuals = np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]])
    initial_errors = InitialErrors.from_residuals(residuals)
    offsets = initial_errors.draw(np.random.default_rng(0), 20_000)

    assert np.isclose(initial_errors.spread_mm, np.sqrt(3) / 2)
    assert np.allclose(offsets.mean(axis=0), 1.0, atol=0.05)
    assert np.allclose(offsets.var(axis=0), 2.0 + 0.75, atol=0.1)


def test_the_same_seed_gives_the_same_samples(knobbly, mixed) -> None:
    mesh, landmarks_mm = knobbly
    side, initial_errors = (mesh, mixed.sides.points_mm(landmarks_mm)[0]), InitialErrors(np.empty((0, 3)), 3.0)

    first, again, other = (_samples(side, initial_errors, mixed, seed=seed, count=6) for seed in (1, 1, 2))

    assert (first[0] == again[0]).all()
    assert all(np.array_equal(*parts, equal_nan=True) for parts in zip(first[1], again[1], strict=True))
    assert (first[1].xy != other[1].xy).any(axis=2).all()
