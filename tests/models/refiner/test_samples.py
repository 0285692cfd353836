"""Labelled crops: labels are the point's positions, and the same seed gives the same samples."""

import numpy as np

from featurelib.geometry import mirror_pair
from featurelib.meshes import Mesh
from featurelib.models.refiner.samples import INSIDE, both_sides, crop_samples
from featurelib.models.refiner.stages import CropSize, InitialErrors

CROP_SIZE = CropSize(40.0, 32)


def test_the_label_is_the_position_of_a_small_object() -> None:
    tips = np.vstack([np.eye(3), -np.eye(3)]) * 3.0
    octahedron = Mesh.smooth(tips, [[i, j, k] for i in (0, 3) for j in (1, 4) for k in (2, 5)])
    initial_errors = InitialErrors(np.empty((0, 3)), 4.0, turn_deg=40.0)

    images, xy = crop_samples(octahedron, np.zeros(3), CROP_SIZE, initial_errors, np.random.default_rng(0), 40)

    for image, label in zip(images, xy, strict=True):
        rows, columns = np.nonzero(image[..., 2])
        seen = (np.array([columns.mean(), rows.mean()]) + 0.5) / CROP_SIZE.size_px
        assert np.linalg.norm(seen - label) < 0.5 / CROP_SIZE.size_px


def test_without_error_the_label_is_the_centre_in_any_pose(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    exact = InitialErrors(np.empty((0, 3)), 0.0, turn_deg=30.0)

    xy = crop_samples(mesh, landmarks_mm[0], CROP_SIZE, exact, np.random.default_rng(0), 8)[1]

    assert np.allclose(xy, 0.5, atol=1e-6)


def test_the_point_is_inside_the_crop_for_any_initial_error(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    wild = InitialErrors(np.full((5, 3), 300.0), 100.0)

    xy = crop_samples(mesh, landmarks_mm[0], CROP_SIZE, wild, np.random.default_rng(0), 20)[1]

    assert (np.linalg.norm(xy - 0.5, axis=1) <= INSIDE + 1e-6).all()


def test_the_right_instance_is_the_left_one_of_the_mirrored_object(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    mirrored = mesh.mirrored()

    (_, left_mm), (image, right_mm) = both_sides(mesh, landmarks_mm)
    (_, back_mm), _ = both_sides(mirrored, mirror_pair(landmarks_mm))

    assert (image.vertices_mm == mirrored.vertices_mm).all()
    assert (left_mm == landmarks_mm[0]).all()
    assert (right_mm == back_mm).all()
    assert (right_mm * (-1, 1, 1) == landmarks_mm[1]).all()


def test_initial_errors_are_residuals_with_noise_of_half_their_size() -> None:
    residuals = np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]])
    initial_errors = InitialErrors.from_residuals(residuals)
    offsets = initial_errors.draw(np.random.default_rng(0), 20_000)

    assert np.isclose(initial_errors.spread_mm, np.sqrt(3) / 2)
    assert np.allclose(offsets.mean(axis=0), 1.0, atol=0.05)
    assert np.allclose(offsets.var(axis=0), 2.0 + 0.75, atol=0.1)


def test_the_same_seed_gives_the_same_samples(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    initial_errors = InitialErrors(np.empty((0, 3)), 3.0)

    first, again, other = (
        crop_samples(mesh, landmarks_mm[0], CROP_SIZE, initial_errors, np.random.default_rng(seed), 6)
        for seed in (1, 1, 2)
    )

    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[1] != other[1]).all()
