"""Polygons are covered exactly by their triangles, whatever their shape, first corner, winding and plane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh
from featurelib.meshes.readers.cutting import MAX_CORNERS, triangles

U = np.array([[0, 0], [60, 0], [60, 40], [40, 40], [40, 15], [20, 15], [20, 40], [0, 40]], float)
ARROW = np.array([[0, 0], [10, 4], [0, 8], [3, 4]], float)


def _star(radii: list[float]) -> np.ndarray:
    """Return a ring (n, 2) whose corners have these distances from its middle, at equal angles."""
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    return np.array(radii)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


def _comb(heights: list[float]) -> np.ndarray:
    """Return a ring of two ragged edges, one above the other, which do not touch."""
    up, x = np.array(heights), np.arange(len(heights))
    return np.concatenate([np.column_stack([x, up]), np.column_stack([x, up[::-1] - 40])[::-1]])


def _plate(num_holes: int, corners: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points and the ring of a rectangle with round holes, each reached by a keyhole from a corner."""
    points, ring = [[0, 0], [60, 0], [60, 40], [0, 40]], []
    for corner, middle in enumerate([(15, 10), (45, 10), (45, 30), (15, 30)]):
        ring.append(corner)
        if corner < num_holes:
            hole = np.array(middle) + 6 * _star([1] * corners)
            nearest = int(np.linalg.norm(hole - points[corner], axis=1).argmin())
            ring += [len(points) + (nearest - k) % corners for k in range(corners + 1)] + [corner]
            points += hole.tolist()
    return np.array(points), np.array(ring)


def _vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the vectors (m, 3) perpendicular to triangles, as long as their areas."""
    a, b, c = vertices.astype(np.float64)[faces.T]
    return np.cross(b - a, c - a) / 2


def _assert_covered(points: np.ndarray, ring: np.ndarray, pose: Rotation, shift: float, first: int, backwards: bool):
    """The triangles' areas have the ring's sum, and all face its way."""
    vertices = pose.apply(np.column_stack([points, np.zeros(len(points))])) + shift
    ring = np.roll(ring[::-1] if backwards else ring, first)
    corners = vertices[ring] - vertices[ring[0]]
    expected = np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0) / 2

    areas = _vectors(vertices, triangles(np.array([len(ring)]), ring, vertices, Limits()))

    assert np.linalg.norm(areas, axis=1).sum() == pytest.approx(np.linalg.norm(expected), rel=1e-5)
    assert areas.sum(axis=0) == pytest.approx(expected, abs=1e-5 * np.linalg.norm(expected))


poses = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(Rotation.from_rotvec)
stars = st.lists(st.floats(0.2, 5), min_size=4, max_size=30).map(_star)
combs = st.lists(st.floats(-9, 9), min_size=2, max_size=30).map(_comb)


@settings(max_examples=150, deadline=None)
@given(st.one_of(stars, combs), poses, st.sampled_from([0, 300, 1e6]), st.integers(0, 60), st.booleans())
def test_a_concave_polygon_is_covered(points, pose, shift, first, backwards):
    """Area and direction are those of the ring, wherever it begins, in any plane and at any place."""
    _assert_covered(points, np.arange(len(points)), pose, shift, first, backwards)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 4), st.integers(3, 40), poses, st.integers(0, 200), st.booleans())
def test_holes_stay_open(num_holes, corners, pose, first, backwards):
    """A ring that reaches its holes by keyholes covers the plate without them."""
    points, ring = _plate(num_holes, corners)
    hole = corners / 2 * 36 * np.sin(2 * np.pi / corners)

    _assert_covered(points, ring, pose, 100, first, backwards)
    flat = np.column_stack([points, np.zeros(len(points))])
    covered = _vectors(flat, triangles(np.array([len(ring)]), ring, flat, Limits()))
    assert covered[:, 2].sum() == pytest.approx(60 * 40 - num_holes * hole)


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 40), poses, st.integers(0, 40), st.booleans())
def test_a_convex_polygon_is_a_fan(count, pose, first, backwards):
    """Its triangles are those around its first corner."""
    vertices = pose.apply(np.column_stack([_star([5.0] * count), np.zeros(count)])).astype(np.float32)
    ring = np.roll(np.arange(count)[::-1] if backwards else np.arange(count), first)

    faces = triangles(np.array([count]), ring, vertices, Limits())

    assert faces.tolist() == [[ring[0], ring[k], ring[k + 1]] for k in range(1, count - 1)]


@pytest.mark.parametrize("first", range(4))
def test_a_concave_quad_is_cut_from_its_concave_corner(first):
    """One of two diagonals is outside; polygons before and after it keep their place."""
    vertices = np.column_stack([ARROW, np.zeros(4)])
    ring = np.roll(np.arange(4), first)

    faces = triangles(np.array([3, 4, 2, 3]), np.concatenate([[0, 1, 3], ring, [0, 1], [1, 2, 3]]), vertices, Limits())

    assert faces[[0, 3]].tolist() == [[0, 1, 3], [1, 2, 3]]
    assert [set(face) for face in faces[1:3].tolist()] in ([{0, 1, 3}, {1, 2, 3}], [{1, 2, 3}, {0, 1, 3}])
    assert (_vectors(vertices, faces)[:, 2] > 0).all()


@pytest.mark.parametrize(
    "ring",
    [[[0, 0, 0], [2, 2, 0], [2, 0, 0], [0, 2, 0]], [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]]],
)
def test_a_ring_without_an_inside_stays_a_fan(ring):
    """The ring is a bow tie, whose normal is zero, or a line."""
    faces = triangles(np.array([len(ring)]), np.arange(len(ring)), np.array(ring, float), Limits())

    assert faces.tolist() == [[0, k, k + 1] for k in range(1, len(ring) - 1)]


def test_a_ring_that_crosses_itself_everywhere_still_covers_its_fan():
    """Ears leave holes in it; a fan has a triangle per pair of neighbours."""
    ring = np.random.default_rng(0).normal(size=(60, 3)) * [1, 1, 0]

    assert len(triangles(np.array([60]), np.arange(60), ring, Limits())) == 58


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=40), min_size=1, max_size=5),
    st.lists(st.sampled_from([0, 1, -1, 1e-30, 1e30, 0.1, 3]), min_size=30, max_size=30),
)
def test_any_rings_give_triangles_of_their_own_corners(rings, coordinates):
    """Repeated corners, lines, crossings and extreme sizes never fail, and there are at most n - 2 triangles."""
    counts = np.array([*map(len, rings), 3])
    vertices = np.array(coordinates, float).reshape(10, 3)

    faces = triangles(counts, np.concatenate([*rings, [0, 1, 2]]), vertices, Limits())

    assert len(faces) <= (counts - 2).sum()
    assert {*faces.ravel().tolist()} <= {*range(10)}
    assert faces[-1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("bad", [-1, 8])
def test_a_polygon_with_a_missing_vertex_is_rejected(bad):
    """The corner is refused before it is looked up."""
    vertices = np.column_stack([U, np.zeros(8)])
    for ring in ([0, 1, 2, bad], [0, 1, 2, 3, bad]):
        with pytest.raises(DataError, match=f"a face refers to vertex {bad} of 8"):
            triangles(np.array([len(ring)]), np.array(ring), vertices, Limits())


def test_concave_polygons_with_too_many_corners_are_rejected():
    """Cutting them may take hours; the limit is exceeded by one ring, or by many together."""
    one, part = _star([5.0, 1.0] * (MAX_CORNERS // 2 + 1)), _star([5.0, 1.0] * (MAX_CORNERS // 4))
    for rings in ([one], [part] * 9):
        vertices = np.concatenate([np.column_stack([ring, np.zeros(len(ring))]) for ring in rings])
        with pytest.raises(DataError, match=f"{len(rings)} concave faces with up to {len(rings[0]):,} corners"):
            triangles(np.array([len(ring) for ring in rings]), np.arange(len(vertices)), vertices, Limits())


def test_polygons_of_two_corners_are_named():
    """The message is not that of a point cloud."""
    with pytest.raises(DataError, match=r"\Anone of its 2 faces has three corners"):
        triangles(np.array([2, 1]), np.arange(3), np.zeros((3, 3)), Limits())


def _prism(outline: np.ndarray, rings: list[list[int]]) -> tuple[np.ndarray, list[list[int]]]:
    """Return the closed solid of height 10 over outlines whose rings are given, with quads at its sides."""
    count = len(outline)
    vertices = np.vstack([np.column_stack([outline, np.full(count, 10)]), np.column_stack([outline, np.zeros(count)])])
    edges = {(ring[k - 1], ring[k]) for ring in rings for k in range(len(ring))}
    sides = [[a, count + a, count + b, b] for a, b in edges if (b, a) not in edges]
    return vertices, [*rings, *([count + k for k in ring[::-1]] for ring in rings), *sides]


def _obj(vertices: np.ndarray, polygons: list[list[int]]) -> bytes:
    lines = [f"v {x:g} {y:g} {z:g}" for x, y, z in vertices.round(4)]
    return "\n".join([*lines, *("f " + " ".join(str(k + 1) for k in polygon) for polygon in polygons)]).encode()


def _off(vertices: np.ndarray, polygons: list[list[int]]) -> bytes:
    rows = [*vertices.round(4).tolist(), *([len(polygon), *polygon] for polygon in polygons)]
    return f"OFF{len(vertices)} {len(polygons)} 0\n".encode() + b"\n".join(
        " ".join(map(str, row)).encode() for row in rows
    )


def _ply(vertices: np.ndarray, polygons: list[list[int]]) -> bytes:
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\nproperty double x\nproperty double y\n"
        f"property double z\nelement face {len(polygons)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    lists = b"".join(bytes([len(polygon)]) + np.array(polygon, "<i4").tobytes() for polygon in polygons)
    return header.encode() + vertices.round(4).astype("<f8").tobytes() + lists


@pytest.mark.parametrize(("write", "suffix"), [(_obj, "obj"), (_off, "off"), (_ply, "ply")])
@pytest.mark.parametrize("shape", ["bracket", "plate", "arrow"])
def test_a_closed_solid_has_its_volume_in_every_format(write, suffix, shape):
    """Concave caps, caps with holes and concave quads, in OBJ, OFF and PLY."""
    points, ring = _plate(3, 12) if shape == "plate" else (U if shape == "bracket" else ARROW, None)
    ring = np.roll(np.arange(len(points)), 3) if ring is None else ring
    vertices, polygons = _prism(points, [ring.tolist()])

    mesh = load_mesh(write(vertices, polygons), suffix, np.eye(4), name="solid")

    flat = points[ring]
    area = np.sum(flat[:, 0] * np.roll(flat[:, 1], -1) - flat[:, 1] * np.roll(flat[:, 0], -1)) / 2
    corners = mesh.vertices_mm.astype(np.float64)[mesh.faces]
    assert np.linalg.det(corners).sum() / 6 == pytest.approx(10 * area, rel=1e-5)
    assert _vectors(mesh.vertices_mm, mesh.faces).sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-3)
