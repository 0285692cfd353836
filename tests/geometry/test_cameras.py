"""Cameras with both lenses: projection of points, and rays of image positions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import GeometryError
from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    Camera,
    Orthographic,
    Perspective,
    lens_for,
    matrix_from_wxyz,
    rigid,
)

FRAME_MM = 400.0
FRONT = 4

both_lenses = pytest.mark.parametrize("projection", PROJECTIONS)


def _camera(projection: str, seed: int) -> Camera:
    """Return a camera of that projection at a random pose."""
    random = np.random.default_rng(seed)
    return Camera(
        lens_for(projection, FRAME_MM), rigid(matrix_from_wxyz(random.normal(size=4)), random.normal(size=3) * 300)
    )


def _front_camera(projection: str, centre_mm=(0, 0, 0)) -> Camera:
    """Return the camera of the front view."""
    return DEFAULT_RIG.cameras(centre_mm, lens_for(projection, FRAME_MM), FRAME_MM)[FRONT]


@both_lenses
@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_a_point_is_on_the_ray_of_its_projection(projection: str, seed: int) -> None:
    """Backprojected projections are rays that leave the camera and pass through the points."""
    camera = _camera(projection, seed)
    random = np.random.default_rng(seed + 1)
    depths = random.uniform(50, 2000, 10)
    points = (
        camera.position_mm + camera.axis * depths[:, None] + np.cross(camera.axis, random.normal(size=(10, 3))) * 20
    )

    rays = camera.backproject(camera.project(points))

    to_points = points - rays.origins_mm
    along = (to_points * rays.directions).sum(axis=1)
    np.testing.assert_allclose(to_points, along[:, None] * rays.directions, atol=1e-8)
    assert (along > 0).all()
    np.testing.assert_allclose(np.linalg.norm(rays.directions, axis=1), 1, atol=1e-12)


@both_lenses
@given(st.integers(0, 2**32 - 1), st.floats(1, 3000))
@settings(deadline=None, max_examples=50)
def test_all_points_of_a_ray_have_the_same_projection(projection: str, seed: int, distance_mm: float) -> None:
    """The projection of a backprojected position is that position, at any distance."""
    camera = _camera(projection, seed)
    xy = np.random.default_rng(seed).uniform(0, 1, (10, 2))

    origins_mm, directions = camera.backproject(xy)

    np.testing.assert_allclose(camera.project(origins_mm + distance_mm * directions), xy, atol=1e-9)


@both_lenses
def test_the_centre_of_the_object_is_the_centre_of_the_image(projection: str) -> None:
    """The optical axis of every camera of the rig passes through the given centre."""
    centre_mm = np.array([12.0, -40.0, 7.0])

    for camera in DEFAULT_RIG.cameras(centre_mm, lens_for(projection, FRAME_MM), FRAME_MM):
        np.testing.assert_allclose(camera.project(centre_mm), [0.5, 0.5], atol=1e-12)


@both_lenses
def test_image_axes_start_at_the_top_left(projection: str) -> None:
    """In the front view +y is at y < 0.5, and the object's left (+x) is at the viewer's right, x > 0.5."""
    xy = _front_camera(projection).project([[0, 50, 0], [0, -50, 0], [50, 0, 0], [-50, 0, 0]])

    np.testing.assert_allclose(xy, [[0.5, 0.375], [0.5, 0.625], [0.625, 0.5], [0.375, 0.5]], atol=1e-12)


@both_lenses
def test_the_image_is_one_frame_wide_at_the_centre(projection: str) -> None:
    """Half a frame from the centre in both directions are the corners (0, 0) top-left and (1, 1) bottom-right."""
    for camera in DEFAULT_RIG.cameras([5, 6, 7], lens_for(projection, FRAME_MM), FRAME_MM):
        right, up = camera.object_from_camera[:3, 0], camera.object_from_camera[:3, 1]
        corners = np.array([5, 6, 7]) + FRAME_MM / 2 * np.array([up - right, right - up])

        np.testing.assert_allclose(camera.project(corners), [[0, 0], [1, 1]], atol=1e-12)


def test_orthographic_size_does_not_depend_on_distance() -> None:
    """Only the lens determines the scale: moving the camera or a point along the axis changes no projection."""
    lens, points = Orthographic(FRAME_MM / 2), np.random.default_rng(0).uniform(-150, 150, (20, 3))
    near, far = (Camera(lens, rigid(np.eye(3), [0, 0, distance])) for distance in (500, 50_000))

    np.testing.assert_allclose(near.project(points), far.project(points), atol=1e-12)
    np.testing.assert_allclose(near.project(points - [0, 0, 300]), near.project(points), atol=1e-12)


def test_perspective_shrinks_with_distance() -> None:
    """Offsets from the image's centre are inversely proportional to the depth."""
    camera = Camera(Perspective(30.0), rigid(np.eye(3), [0, 0, 500]))

    near, far = camera.project([[60, 30, 0], [60, 30, -500]]) - 0.5

    np.testing.assert_allclose(far, near / 2, atol=1e-12)


def test_perspective_fills_its_opening_angle() -> None:
    """A point at half the opening angle above the axis is on the image's top edge."""
    camera = Camera(Perspective(30.0), np.eye(4))

    xy = camera.project([0, np.tan(np.radians(15)) * 700, -700])

    np.testing.assert_allclose(xy, [0.5, 0], atol=1e-12)


@both_lenses
def test_depth_is_measured_along_the_axis(projection: str) -> None:
    """Moving a point sideways keeps its depth; moving it along the axis adds the distance to the depth."""
    camera = _camera(projection, 3)
    sideways = camera.object_from_camera[:3, 0] * 40

    depths = camera.depth_mm(
        [camera.position_mm + camera.axis * 100, camera.position_mm + camera.axis * 130 + sideways]
    )

    np.testing.assert_allclose(depths, [100, 130], atol=1e-9)


@both_lenses
def test_the_optical_axis_is_minus_z(projection: str) -> None:
    """The front camera is upright, in front of the face (+z), and its axis is -z."""
    camera = _front_camera(projection)

    assert camera.position_mm[2] > FRAME_MM / 2
    np.testing.assert_allclose(camera.axis, [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(camera.object_from_camera[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(camera.camera_from_object @ camera.object_from_camera, np.eye(4), atol=1e-12)


def test_a_perspective_camera_rejects_points_behind_it() -> None:
    """A point beside or behind a perspective camera has no projection; an orthographic camera projects it."""
    for z in (500, 600):
        with pytest.raises(GeometryError, match="behind the perspective camera"):
            Camera(Perspective(30.0), rigid(np.eye(3), [0, 0, 500])).project([[0, 0, 0], [0, 0, z]])
    np.testing.assert_allclose(Camera(Orthographic(10), np.eye(4)).project([0, 0, 600]), [0.5, 0.5])


@both_lenses
@pytest.mark.parametrize("leading", [(), (6,), (2, 3)])
def test_leading_axes_are_kept(projection: str, leading: tuple[int, ...]) -> None:
    """The result for one point, a list or a stack of lists has the same leading axes."""
    camera = _front_camera(projection)

    xy = camera.project(np.zeros((*leading, 3)))
    rays = camera.backproject(xy)

    assert (xy.shape, rays.origins_mm.shape, rays.directions.shape) == ((*leading, 2), (*leading, 3), (*leading, 3))
    assert camera.depth_mm(np.zeros((*leading, 3))).shape == leading
