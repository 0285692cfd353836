"""A body with two ears whose tips are known, and a renderer."""

import numpy as np
import pytest
import trimesh

from featurelib.datasets.shards import RenderSpec
from featurelib.geometry import DEFAULT_RIG, Alignment, LandmarkSet, apply, inverse
from featurelib.meshes import Mesh
from featurelib.rendering import open_renderer

CENTRE_MM = np.array([10.0, -20.0, 30.0])
TIP_MM = np.array([80.0, 12.0, -24.0])
"""From the centre to the tip of the left ear; the right one is its mirror image."""

SPEC = RenderSpec(
    unit="cm",
    alignment=Alignment(((0.5, 0.5, 0.5, 0.5),), scale=2.0),
    projection="orthographic",
    frame_mm=200.0,
    image_size=64,
    rig=DEFAULT_RIG,
    backend="raster",
)


@pytest.fixture(scope="session")
def spec() -> RenderSpec:
    """Small images of objects whose files are in centimetres and in other axes."""
    return SPEC


@pytest.fixture(scope="session")
def tips() -> LandmarkSet:
    """The set of the body's landmarks."""
    return LandmarkSet.single_pair("tip")


@pytest.fixture(scope="session")
def eared() -> Mesh:
    """A sphere of radius 60 mm about CENTRE_MM with two ears, left-right symmetric to the bit."""
    ball = trimesh.creation.icosphere(subdivisions=4)
    vertices = 60 * ball.vertices
    for side in (1, -1):
        tip = TIP_MM * (side, 1, 1)
        towards = ball.vertices @ (tip / np.linalg.norm(tip))
        vertices = vertices + np.exp(-60 * (1 - towards))[:, None] * (np.linalg.norm(tip) - 60) * ball.vertices
        vertices[towards.argmax()] = tip
    return Mesh.smooth(vertices + CENTRE_MM, ball.faces)


@pytest.fixture(scope="session")
def landmarks_mm() -> np.ndarray:
    """(2, 3) the tips of the ears, object frame."""
    return CENTRE_MM + TIP_MM * [(1, 1, 1), (-1, 1, 1)]


@pytest.fixture(scope="session")
def labels(landmarks_mm) -> dict:
    """The body's row of the dataset's table: landmarks in source frame and unit."""
    points = apply(inverse(SPEC.object_from_source), landmarks_mm).ravel().tolist()
    return {"object_id": "eared", "group": "kin", "split": "val", "landmarks": points, "absent": [False, False]}


@pytest.fixture(scope="session")
def raster():
    """The rasteriser."""
    renderer = open_renderer("raster")
    yield renderer
    renderer.close()
