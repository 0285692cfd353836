"""Labelled crops with random cameras. Rotating the camera is rotating the object, so each crop has a new pose.

A crop aims at one landmark. All others that it shows are labelled too.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import crop_camera, render_crops, visible_points
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.stages import CropSize, InitialErrors

INSIDE = 0.4
"""Maximum distance of the aimed landmark from the crop's centre, as a share of the width, so that it is inside the
crop; also of the others along each image axis."""

AIMED_WEIGHT = 2.0
"""Weight of the landmark that a crop aims at; that of the others is 1."""


class Labels(NamedTuple):
    """Labels of n crops for c channels.

    xy: (n, c, 2) positions; meaningless where the weight is 0. weights: (n, c), 0 for a landmark that is unknown,
    hidden or outside. present: (n, c) whether the landmark exists, 1 or 0; NaN if the crop does not tell.
    """

    xy: NDArray[np.float32]
    weights: NDArray[np.float32]
    present: NDArray[np.float32]

    def take(self, indices: NDArray[np.intp] | slice) -> "Labels":
        """Return the labels of some crops."""
        return Labels(*(part[indices] for part in self))


def crop_samples(
    side: tuple[Mesh, NDArray[np.float64], NDArray[np.bool_]],
    crop_size: CropSize,
    initial_errors: InitialErrors,
    directions: Directions,
    random: np.random.Generator,
    count: int,
) -> tuple[NDArray[np.uint8], Labels]:
    """Return crops (count, s, s, 3) and their labels; none if no point is known.

    Args:
        side: a mesh in the object frame, the points (c, 3) of its channels, NaN if unknown, and which of them are
            absent, (c,); the point of an absent landmark is where it should be.
        crop_size: of the crops.
        initial_errors: distribution of the crop centres' offsets and of the object's rotations.
        directions: of the views.
        random: the same state gives the same samples.
        count: number of crops.
    """
    mesh, points_mm, absent = side
    known = np.flatnonzero(np.isfinite(points_mm).all(axis=1))
    count = count if len(known) else 0
    aimed = random.choice(known, count) if count else np.empty(0, np.intp)
    offsets = initial_errors.draw(random, count)
    too_far = np.linalg.norm(offsets, axis=1, keepdims=True) / (INSIDE * crop_size.width_mm)
    centres_mm = points_mm[aimed] + offsets / np.maximum(too_far, 1)
    rotations = _rotations(random, count, initial_errors.turn_deg) @ directions.draw(random, aimed)
    cameras = [
        crop_camera(rotation, centre_mm, crop_size.width_mm)
        for rotation, centre_mm in zip(rotations, centres_mm, strict=True)
    ]
    images = render_crops(mesh, cameras, crop_size.size_px)
    shape = (count, len(points_mm))
    xy = np.array([camera.project(points_mm) for camera in cameras]).reshape(*shape, 2)
    inside = (np.abs(xy - 0.5) <= INSIDE).all(axis=2)
    shown = [visible_points(image, camera, points_mm) for image, camera in zip(images, cameras, strict=True)]
    is_aim = aimed[:, None] == np.arange(len(points_mm))
    weights = AIMED_WEIGHT * is_aim + (~is_aim & inside & np.array(shown, bool).reshape(shape)) * 1.0
    present = np.where(absent, np.where(inside | is_aim, 0.0, np.nan), np.where(weights > 0, 1.0, np.nan))
    weights[:, absent] = 0
    labels = Labels(*(part.astype(np.float32) for part in (np.nan_to_num(xy), weights, present)))
    return images, labels


def _rotations(random: np.random.Generator, count: int, most_deg: float) -> NDArray[np.float64]:
    """Return rotations (count, 3, 3) about random axes by angles uniform in 0 to `most_deg`."""
    axes = random.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return Rotation.from_rotvec(axes * np.radians(random.uniform(0, most_deg, (count, 1)))).as_matrix()
