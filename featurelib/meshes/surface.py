"""Points on a triangle mesh: the closest one to a given point, and an even sample of the surface.

A mesh is given by vertices (v, 3) in mm and faces (f, 3), the indices of each triangle's corners.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError

Xyz = tuple[float, float, float]


def closest_points(
    points_mm: ArrayLike, vertices_mm: ArrayLike, faces: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the closest point of the surface for each point.

    The result is exact: the search covers the whole triangles, not only their corners. A triangle without area is a
    segment or a point.

    Args:
        points_mm: (n, 3).
        vertices_mm: (v, 3), in the frame of the points.
        faces: (f, 3) indices into the vertices.

    Returns:
        points (n, 3) on the surface, distances (n,) in mm, and the indices (n,) of their faces.

    Raises:
        GeometryError: if there are no faces, or a number is not finite.
    """
    points = np.ascontiguousarray(points_mm, dtype=np.float64)
    triangles = _triangles(vertices_mm, faces)
    if not np.isfinite(points).all():
        raise GeometryError("a point is not three finite numbers, so no surface point is closest to it")
    found: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]] = _closest(points, triangles)
    return found


def sample_surface(vertices_mm: ArrayLike, faces: ArrayLike, count: int, seed: int = 0) -> NDArray[np.float64]:
    """Return `count` points (count, 3) of the surface, distributed by area; deterministic for a seed.

    Raises:
        GeometryError: if the mesh has no area, or a number is not finite.
    """
    return sample_with_normals(vertices_mm, faces, count, seed)[0]


def sample_with_normals(
    vertices_mm: ArrayLike, faces: ArrayLike, count: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points (count, 3) of `sample_surface` and the unit normals (count, 3) of their triangles.

    A point in a triangle is drawn as in Osada, Funkhouser, Chazelle and Dobkin, Shape Distributions, ACM Transactions
    on Graphics 21(4), 2002, section 4.2. The triangles are chosen at equal steps of area instead of at random, which
    leaves fewer gaps.

    Raises:
        GeometryError: if the mesh has no area, or a number is not finite.
    """
    triangles = _triangles(vertices_mm, faces)
    edges = triangles[:, 1:] - triangles[:, :1]  # (f, 2, 3)
    normals = np.cross(edges[:, 0], edges[:, 1])
    areas = np.linalg.norm(normals, axis=1)  # twice the area of each
    area_up_to = np.cumsum(areas)
    if not area_up_to[-1] > 0:
        raise GeometryError("every triangle of the mesh has area zero; expected a surface")
    random = np.random.default_rng(seed)
    steps = (np.arange(count) + random.random(count)) / max(count, 1) * area_up_to[-1]
    last = np.flatnonzero(areas)[-1]  # rounding may push the last step past the end
    chosen = np.minimum(np.searchsorted(area_up_to, steps, side="right"), last)
    root, share = np.sqrt(random.random(count)), random.random(count)
    along = np.stack([root * (1 - share), root * share], axis=1)  # (count, 2): weights of the two edges
    points = triangles[chosen, 0] + np.einsum("ne,nex->nx", along, edges[chosen])
    return points, normals[chosen] / areas[chosen, None]


def _triangles(vertices_mm: ArrayLike, faces: ArrayLike) -> NDArray[np.float64]:
    """Return the corners (f, 3, 3) of all faces."""
    triangles = np.asarray(vertices_mm, dtype=np.float64)[np.asarray(faces, dtype=np.int64).reshape(-1, 3)]
    if not len(triangles):
        raise GeometryError("a mesh without faces has no surface")
    if not np.isfinite(triangles).all():
        raise GeometryError("a vertex of the mesh is not three finite numbers")
    return triangles


@njit(cache=True)
def _closest(
    points: NDArray[np.float64], triangles: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the result of `closest_points`.

    Each triangle is inside a ball around its centroid. The nearest centroid is an upper bound of the distance, and
    triangles whose ball is beyond the bound are skipped. On a head of 34,000 faces these are nearly all, and the search
    takes 0.1 ms per point.
    """
    num_faces, num_points = len(triangles), len(points)
    centres, radii = np.empty((num_faces, 3)), np.zeros(num_faces)
    for face in range(num_faces):
        a, b, c = triangles[face]
        centres[face] = (a + b + c) / 3
        for corner in range(3):
            radii[face] = max(radii[face], np.sqrt(np.sum((triangles[face, corner] - centres[face]) ** 2)))

    found, distances, indices = np.empty((num_points, 3)), np.empty(num_points), np.empty(num_points, np.int64)
    to_centre = np.empty(num_faces)
    for i in range(num_points):
        p = (points[i, 0], points[i, 1], points[i, 2])
        for face in range(num_faces):
            x, y, z = centres[face, 0] - p[0], centres[face, 1] - p[1], centres[face, 2] - p[2]
            to_centre[face] = np.sqrt(x * x + y * y + z * z)
        bound = to_centre.min() * (1 + 1e-9)  # slightly larger, so that rounding cannot reject all triangles
        best = np.inf
        for face in range(num_faces):
            if to_centre[face] - radii[face] > bound:
                continue
            q = _closest_on_triangle(p, triangles[face])
            distance = np.sqrt(_dot(_minus(p, q), _minus(p, q)))
            if distance < best:
                best, bound = distance, min(bound, distance * (1 + 1e-9))
                found[i, 0], found[i, 1], found[i, 2] = q
                distances[i], indices[i] = distance, face
    return found, distances, indices


@njit(cache=True)
def _closest_on_triangle(p: Xyz, triangle: NDArray[np.float64]) -> Xyz:
    """Return the point of the triangle (3, 3) closest to p.

    It is the projection of p onto the plane if that is inside the triangle, else the closest point of the three edges
    (Ericson, Real-Time Collision Detection, 2005, sections 5.1.5 and 5.1.2).
    """
    a = (triangle[0, 0], triangle[0, 1], triangle[0, 2])
    b = (triangle[1, 0], triangle[1, 1], triangle[1, 2])
    c = (triangle[2, 0], triangle[2, 1], triangle[2, 2])
    ab, ac, ap = _minus(b, a), _minus(c, a), _minus(p, a)
    ab_ab, ab_ac, ac_ac, ab_ap, ac_ap = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac), _dot(ab, ap), _dot(ac, ap)
    area = ab_ab * ac_ac - ab_ac * ab_ac  # the square of twice the triangle's area
    if area > 1e-11 * ab_ab * ac_ac:  # a thinner triangle is treated as its edges, because the division is too inexact
        along_ab = (ac_ac * ab_ap - ab_ac * ac_ap) / area
        along_ac = (ab_ab * ac_ap - ab_ac * ab_ap) / area
        if along_ab >= 0 and along_ac >= 0 and along_ab + along_ac <= 1:
            foot: Xyz = _along(_along(a, ab, along_ab), ac, along_ac)
            return foot
    best, closest = np.inf, a
    for start, end in ((a, b), (b, c), (c, a)):
        q = _closest_on_segment(p, start, end)
        distance = _dot(_minus(p, q), _minus(p, q))
        if distance < best:
            best, closest = distance, q
    return closest


@njit(cache=True)
def _closest_on_segment(p: Xyz, start: Xyz, end: Xyz) -> Xyz:
    """Return the point between start and end closest to p."""
    step = _minus(end, start)
    length = _dot(step, step)
    share = _dot(_minus(p, start), step) / length if length > 0 else 0.0
    closest: Xyz = _along(start, step, min(max(share, 0.0), 1.0))
    return closest


@njit(cache=True)
def _minus(a: Xyz, b: Xyz) -> Xyz:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@njit(cache=True)
def _along(start: Xyz, step: Xyz, share: float) -> Xyz:
    return start[0] + share * step[0], start[1] + share * step[1], start[2] + share * step[2]


@njit(cache=True)
def _dot(a: Xyz, b: Xyz) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
