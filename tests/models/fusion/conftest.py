"""A convex body in nine views, with a landmark on each side."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from featurelib.geometry import DEFAULT_RIG, lens_for
from featurelib.models.fusion import Detections, Surface, from_cameras, own_side

FRAME_MM = 420.0
CENTRE_MM = np.array([4.0, -6.0, 9.0])


@cache
def body() -> tuple[np.ndarray, np.ndarray]:
    """Return vertices (n, 3) and faces (m, 3) of an ellipsoid that is its own mirror image about its centre."""
    random = np.random.default_rng(5)
    directions = random.normal(size=(400, 3))
    directions = np.concatenate([directions, directions * (-1, 1, 1)])
    vertices = directions / np.linalg.norm(directions, axis=1, keepdims=True) * (75, 110, 95)
    return vertices + CENTRE_MM, ConvexHull(vertices).simplices


def landmark_mm(side: str) -> np.ndarray:
    """Return the centre of the triangle whose normal points to a side and slightly to the front."""
    vertices, faces = body()
    centres = vertices[faces].mean(axis=1)
    wanted = np.array([1 if side == "left" else -1, 0.1, 0.3])
    return centres[((centres - CENTRE_MM) @ (wanted / np.linalg.norm(wanted))).argmax()]


@dataclass(frozen=True)
class Scene:
    """Detections of a landmark with a known position; xy (9, 2) are the detected positions."""

    detections: Detections
    truth_mm: np.ndarray
    xy: np.ndarray


def make_scene(
    side: str = "left",
    *,
    projection: str = "orthographic",
    noise_mm: float = 0.0,
    shared_mm: float = 0.0,
    outlier_mm: float = 0.0,
    usable: np.ndarray | None = None,
    seed: int = 0,
) -> Scene:
    """Return detections in nine views. Own-side views have half the noise; the outlier is one of them."""
    random = np.random.default_rng(seed)
    truth_mm = landmark_mm(side)
    cameras = DEFAULT_RIG.cameras(CENTRE_MM, lens_for(projection, FRAME_MM), FRAME_MM)
    own = own_side(DEFAULT_RIG.views, side)
    sigma_mm = np.where(own, 1.0, 2.0) * (noise_mm or 1.0)
    offset = random.normal(size=3) * shared_mm
    xy = np.array([camera.project(truth_mm + offset) for camera in cameras])
    own_mm = np.sqrt(sigma_mm**2 - shared_mm**2) * bool(noise_mm)
    xy += random.normal(size=(9, 2)) * own_mm[:, None] / FRAME_MM
    xy[np.flatnonzero(own)[1]] += np.array([0.6, 0.8]) * outlier_mm / FRAME_MM
    detections = from_cameras(
        cameras,
        xy,
        sigma_mm,
        usable=usable,
        visibility=np.where(own, 0.9, 0.0),
        surface=Surface(*body()),
        shared_mm=shared_mm,
    )
    return Scene(detections, truth_mm, xy)


@pytest.fixture(scope="session", name="scene")
def _scene():
    return make_scene
