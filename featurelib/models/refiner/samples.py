"""Labelled crops, drawn at random. Turning the camera is turning the object, so each image has a fresh pose."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from featurelib.geometry import View, mirror_pair
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import aimed_camera, render_crops
from featurelib.models.refiner.stages import AZIMUTHS_DEG, ELEVATIONS_DEG, Frame, InitialErrors

INSIDE = 0.4
"""The landmark lies at most this share of the frame off its middle: beside the image nothing can be learnt."""


def both_sides(mesh: Mesh, pair_mm: ArrayLike) -> list[tuple[Mesh, NDArray[np.float64]]]:
    """Return the object and its mirror image, each with the point (3,) of its left instance, of a pair (2, 3)."""
    pair_mm = np.asarray(pair_mm, dtype=np.float64)
    return [(mesh, pair_mm[0]), (mesh.mirrored(), mirror_pair(pair_mm)[0])]


def crop_samples(
    mesh: Mesh, point_mm: ArrayLike, frame: Frame, starts: InitialErrors, random: np.random.Generator, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return `count` images (count, s, s, 3) and the point's positions xy (count, 2) in them.

    Args:
        mesh: object frame; the mirrored one for the right instance, see `both_sides`.
        point_mm: (3,) the left instance.
        frame: of the images.
        starts: how far off the middle of the frame is, and how far the object is turned.
        random: the same state gives the same samples.
        count: of images.
    """
    point_mm = np.asarray(point_mm, dtype=np.float64)
    offsets = starts.draw(random, count)
    too_far = np.linalg.norm(offsets, axis=1, keepdims=True) / (INSIDE * frame.width_mm)
    aims = point_mm + offsets / np.maximum(too_far, 1)
    turns = _turns(random, count, starts.turn_deg)
    views = zip(random.uniform(*AZIMUTHS_DEG, count), random.uniform(*ELEVATIONS_DEG, count), strict=True)
    rotations = [turn @ View(*angles).object_from_view for turn, angles in zip(turns, views, strict=True)]
    cameras = [aimed_camera(rotation, aim, frame.width_mm) for rotation, aim in zip(rotations, aims, strict=True)]
    xy = np.array([camera.project(point_mm) for camera in cameras], np.float32).reshape(count, 2)
    return render_crops(mesh, cameras, frame.size_px), xy


def _turns(random: np.random.Generator, count: int, most_deg: float) -> NDArray[np.float64]:
    """Return rotations (count, 3, 3) about random axes by angles evenly spread up to `most_deg`."""
    axes = random.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return Rotation.from_rotvec(axes * np.radians(random.uniform(0, most_deg, (count, 1)))).as_matrix()
