"""Closest points and even samples of a triangle mesh, on shapes with known results."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import GeometryError
from featurelib.meshes.surface import closest_points, sample_surface, sample_with_normals

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CUBE_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip


def _cube_result(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the closest points of the cube's surface and their distances, by the formula of a box."""
    clipped = np.clip(points, -1, 1)
    inside = (np.abs(points) < 1).all(axis=1)
    axis = np.abs(points).argmax(axis=1)  # the face nearest to a point inside
    pushed = points.copy()
    rows = np.arange(len(points))
    pushed[rows, axis] = np.where(points[rows, axis] < 0, -1, 1)
    closest = np.where(inside[:, None], pushed, clipped)
    return closest, np.linalg.norm(points - closest, axis=1)


def _triangle_distance(point: np.ndarray, triangle: np.ndarray, steps: int = 200) -> float:
    """Return the smallest distance from a point to a dense grid of points of a triangle."""
    u, v = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    inside = u + v <= 1
    u, v = u[inside][:, None], v[inside][:, None]
    grid = triangle[0] + u * (triangle[1] - triangle[0]) + v * (triangle[2] - triangle[0])
    return float(np.linalg.norm(grid - point, axis=1).min())


def test_closest_points_of_a_cube_match_its_formula() -> None:
    """Points and distances are the analytic ones, inside and outside the cube, at faces, edges and corners."""
    points = np.random.default_rng(0).uniform(-2, 2, (500, 3))

    found, distances, _ = closest_points(points, CUBE, CUBE_FACES)

    expected, expected_distances = _cube_result(points)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(distances, expected_distances, atol=1e-12)


coordinate = st.floats(-5, 5, allow_subnormal=False)
triangles = st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=3, max_size=3).map(np.array)


@given(triangles, st.tuples(coordinate, coordinate, coordinate).map(np.array))
@settings(deadline=None, max_examples=100)
def test_no_point_of_a_triangle_is_closer(triangle: np.ndarray, point: np.ndarray) -> None:
    """The distance is that of a dense grid on the triangle, within its step, also for slivers and points."""
    found, distances, _ = closest_points(point[None], triangle, [[0, 1, 2]])

    dense = _triangle_distance(point, triangle)
    longest = max(np.linalg.norm(triangle - np.roll(triangle, 1, axis=0), axis=1))
    assert distances[0] <= dense + 1e-9
    assert dense - longest / 199 <= distances[0] + 1e-9
    assert np.linalg.norm(found[0] - point) == pytest.approx(distances[0], abs=1e-12)
    _, off_surface, _ = closest_points(found, triangle, [[0, 1, 2]])
    assert off_surface[0] < 1e-7


def test_points_on_the_surface_are_their_own_closest_points() -> None:
    """Snapping to the surface is idempotent."""
    points = sample_surface(CUBE, CUBE_FACES, 100)

    found, distances, _ = closest_points(points, CUBE, CUBE_FACES)

    np.testing.assert_allclose(found, points, atol=1e-12)
    np.testing.assert_allclose(distances, 0, atol=1e-12)


def test_the_returned_face_has_the_closest_point() -> None:
    """The closest point of the returned face alone is the returned point."""
    points = np.random.default_rng(1).uniform(-2, 2, (30, 3))

    found, distances, faces = closest_points(points, CUBE, CUBE_FACES)

    for point, expected, distance, face in zip(points, found, distances, faces, strict=True):
        alone, alone_distance, _ = closest_points(point[None], CUBE, CUBE_FACES[face : face + 1])
        np.testing.assert_array_equal(alone[0], expected)
        assert alone_distance[0] == distance


@pytest.mark.parametrize(
    ("corners", "closest", "expected"),
    [
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[1.5, 0, 0], [0, 0, 0], [2, 0, 0]], [2, 3, 7]),
        ([[0, 0, 0], [2, 0, 0], [0, 0, 0]], [[1.5, 0, 0], [0, 0, 0], [2, 0, 0]], [2, 3, 7]),
        ([[1.5, 6, 3]] * 3, [[1.5, 6, 3]] * 3, [5, np.sqrt(65.25), np.sqrt(101.25)]),
    ],
    ids=["corners in a line", "two equal corners", "three equal corners"],
)
def test_a_triangle_without_area_is_a_segment_or_a_point(corners, closest, expected) -> None:
    """The closest point is that of the segment or the point, not NaN."""
    found, distances, _ = closest_points([[1.5, 2, 0], [-3, 0, 0], [9, 0, 0]], corners, [[0, 1, 2]])

    np.testing.assert_array_equal(found, closest)
    np.testing.assert_allclose(distances, expected)


def test_no_points_give_empty_results() -> None:
    """The results for an empty array are empty arrays."""
    found, distances, faces = closest_points(np.empty((0, 3)), CUBE, CUBE_FACES)

    assert (found.shape, distances.shape, faces.shape) == ((0, 3), (0,), (0,))


@pytest.mark.parametrize(
    ("points", "vertices", "faces", "message"),
    [
        ([[0, 0, 0]], CUBE, np.empty((0, 3), int), "without faces"),
        ([[0, np.nan, 0]], CUBE, CUBE_FACES, "finite"),
        ([[0, 0, 0]], CUBE * np.inf, CUBE_FACES, "finite"),
    ],
)
def test_bad_input_is_rejected(points, vertices, faces, message) -> None:
    """A mesh without faces and numbers that are not finite raise an error."""
    with pytest.raises(GeometryError, match=message):
        closest_points(points, vertices, faces)


def test_a_sample_is_on_the_surface_with_its_normals() -> None:
    """Every point is on the cube, and its normal is the outward axis of its face."""
    points, normals = sample_with_normals(CUBE, CUBE_FACES, 500)

    np.testing.assert_allclose(np.abs(points).max(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose((points * normals).sum(axis=1), 1, atol=1e-12)


def test_a_sample_is_distributed_by_area() -> None:
    """Each triangle has its share of the points, within one, and the points are distributed evenly."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 0, 0], [12, 0, 0], [9, 3, 0]], dtype=float)
    points = sample_surface(vertices, [[0, 1, 2], [3, 4, 5]], 5000)

    large = points[points[:, 0] > 5]
    assert abs(len(large) - 4500) <= 1
    np.testing.assert_allclose(large.mean(axis=0), [10, 1, 0], atol=0.05)


def test_a_sample_repeats_with_its_seed() -> None:
    """The same seed gives the same points, and another seed gives other points."""
    np.testing.assert_array_equal(sample_surface(CUBE, CUBE_FACES, 50, 3), sample_surface(CUBE, CUBE_FACES, 50, 3))
    assert not np.array_equal(sample_surface(CUBE, CUBE_FACES, 50, 3), sample_surface(CUBE, CUBE_FACES, 50, 4))


def test_triangles_without_area_are_never_sampled() -> None:
    """A triangle without area gets no point, even as the last one; a mesh of only such triangles is rejected."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [7, 7, 7]], dtype=float)

    points, normals = sample_with_normals(vertices, [[0, 1, 2], [3, 3, 3]], 100)

    assert points.max() <= 1
    assert np.isfinite(normals).all()
    with pytest.raises(GeometryError, match="area zero"):
        sample_surface(vertices, [[3, 3, 3]], 10)
