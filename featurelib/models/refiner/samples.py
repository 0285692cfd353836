"""Labelled crops with random cameras. Rotating the camera is rotating the object, so each crop has a new pose."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from featurelib.geometry import View, mirror_pair
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import crop_camera, render_crops
from featurelib.models.refiner.stages import AZIMUTHS_DEG, ELEVATIONS_DEG, CropSize, InitialErrors

INSIDE = 0.4
"""Maximum distance of the landmark from the crop's centre, as a share of the width, so that it is inside the crop."""


def both_sides(mesh: Mesh, landmarks_mm: ArrayLike) -> list[tuple[Mesh, NDArray[np.float64]]]:
    """Return the mesh and its mirror image, each with its left landmark (3,), for a pair of landmarks (2, 3)."""
    landmarks_mm = np.asarray(landmarks_mm, dtype=np.float64)
    return [(mesh, landmarks_mm[0]), (mesh.mirrored(), mirror_pair(landmarks_mm)[0])]


def crop_samples(
    mesh: Mesh,
    point_mm: ArrayLike,
    crop_size: CropSize,
    initial_errors: InitialErrors,
    random: np.random.Generator,
    count: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return crops (count, s, s, 3) and the landmark's positions xy (count, 2) in them.

    Args:
        mesh: object frame; for the right instance the mirrored mesh, see `both_sides`.
        point_mm: (3,) the left landmark.
        crop_size: of the crops.
        initial_errors: distribution of the crop centres' offsets and of the object's rotations.
        random: the same state gives the same samples.
        count: number of crops.
    """
    point_mm = np.asarray(point_mm, dtype=np.float64)
    offsets = initial_errors.draw(random, count)
    too_far = np.linalg.norm(offsets, axis=1, keepdims=True) / (INSIDE * crop_size.width_mm)
    centres_mm = point_mm + offsets / np.maximum(too_far, 1)
    object_rotations = _rotations(random, count, initial_errors.turn_deg)
    views = zip(random.uniform(*AZIMUTHS_DEG, count), random.uniform(*ELEVATIONS_DEG, count), strict=True)
    rotations = [r @ View(*angles).object_from_view for r, angles in zip(object_rotations, views, strict=True)]
    cameras = [
        crop_camera(rotation, centre_mm, crop_size.width_mm)
        for rotation, centre_mm in zip(rotations, centres_mm, strict=True)
    ]
    xy = np.array([camera.project(point_mm) for camera in cameras], np.float32).reshape(count, 2)
    return render_crops(mesh, cameras, crop_size.size_px), xy


def _rotations(random: np.random.Generator, count: int, most_deg: float) -> NDArray[np.float64]:
    """Return rotations (count, 3, 3) about random axes by angles uniform in 0 to `most_deg`."""
    axes = random.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return Rotation.from_rotvec(axes * np.radians(random.uniform(0, most_deg, (count, 1)))).as_matrix()
