"""Cut polygons into triangles: fans where a fan covers the polygon, ears elsewhere.

A fan around the first corner covers a convex polygon, and only some concave ones. The others, and polygons with holes
that a ring reaches by a keyhole (an edge there and back), are cut by mapbox-earcut in the plane of their corners.
"""

import math
from collections.abc import Iterator

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.mesh import doubled_areas
from featurelib.meshes.readers.polygons import refuse_missing_vertices

MAX_CORNERS = 10_000
"""Corners of a polygon that is cut by ears. The worst rings, which cross themselves everywhere, take 5.6 s."""

MAX_PAIRS = 2 * MAX_CORNERS**2
"""Sum of the squared numbers of corners over these polygons, to which the worst case's time is proportional."""

ROUNDING = 1e-6
"""Share of a polygon's area that counts as zero; coordinates in single precision round to a few millionths."""

COVERED = 1e-4
"""Largest difference, as a share, between a polygon's area and that of its ears."""


def triangles(
    counts: NDArray[np.integer], corners: NDArray[np.integer], vertices: NDArray[np.floating], limits: Limits
) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of polygons in their order and winding.

    A ring that crosses itself, or has no plane, has no certain inside and is cut as a fan.

    Args:
        counts: (p,) number of corners of each polygon; fewer than three give no triangle.
        corners: (sum of counts,) indices of vertices, polygon after polygon.
        vertices: (n, 3) of the file.
        limits: for the number of triangles.

    Raises:
        DataError: if there are no triangles, or more than the limit, a vertex of a polygon is missing, or the concave
            polygons have too many corners.
    """
    num_triangles = np.maximum(counts - 2, 0)
    if len(counts) and not num_triangles.any():
        raise DataError(f"none of its {len(counts):,} faces has three corners; expected triangles or polygons")
    limits.check_counts(0, int(num_triangles.sum()))
    faces = _fans(counts, corners, num_triangles)
    rows = np.cumsum(num_triangles) - num_triangles
    _cut_quads(faces, rows[counts == 4], vertices)
    return _with_ears(faces, rows, counts, corners, vertices)


def _fans(
    counts: NDArray[np.integer], corners: NDArray[np.integer], num_triangles: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of fans around the first corners."""
    first = np.repeat(np.cumsum(counts) - counts, num_triangles)
    step = np.arange(len(first)) - np.repeat(np.cumsum(num_triangles) - num_triangles, num_triangles)
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1).astype(np.int64)


def _cut_quads(faces: NDArray[np.int64], rows: NDArray[np.integer], vertices: NDArray[np.floating]) -> None:
    """Cut the quads whose two triangles begin at rows (q,) along the other diagonal, where only that one is inside."""
    if not len(rows):
        return
    quads = np.vstack([faces[rows].T, faces[rows + 1, 2]])
    refuse_missing_vertices(quads, len(vertices))
    wrong = _is_cut_outside(quads, vertices)
    quads, rows = quads[:, wrong], rows[wrong]
    right = ~_is_cut_outside(np.roll(quads, -1, axis=0), vertices)
    quads, rows = quads[:, right], rows[right]
    faces[rows], faces[rows + 1] = quads[[1, 2, 3]].T, quads[[1, 3, 0]].T


def _is_cut_outside(quads: NDArray[np.int64], vertices: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which quads (4, q) have a triangle 0, 1, 2 or 0, 2, 3 that faces backwards.

    The normal of a quad is the product of its diagonals, and the sum of the triangles' normals. This takes half the
    time of `_with_backward_triangle`.
    """
    a, b, c, d = quads
    side, diagonal, across = [], [], []
    for axis in np.ascontiguousarray(vertices.T, dtype=np.float64):
        at_a, at_b = axis[a], axis[b]
        side.append(at_b - at_a)
        diagonal.append(axis[c] - at_a)
        across.append(axis[d] - at_b)
    normal = _cross(diagonal, across)
    squared = sum(n * n for n in normal)
    along = sum(n * t for n, t in zip(normal, _cross(side, diagonal), strict=True))
    return np.asarray(np.abs(along - squared / 2) > (0.5 + ROUNDING) * squared)


def _cross(u: list[NDArray[np.float64]], v: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]


def _with_ears(
    faces: NDArray[np.int64],
    rows: NDArray[np.integer],
    counts: NDArray[np.integer],
    corners: NDArray[np.integer],
    vertices: NDArray[np.floating],
) -> NDArray[np.int64]:
    """Return the triangles, which begin at rows (p,), with ears for polygons that a fan does not cover."""
    polygons = np.flatnonzero(counts > 4)
    if not len(polygons):
        return faces
    of_polygons = faces[np.repeat(counts > 4, np.maximum(counts - 2, 0))]
    refuse_missing_vertices(of_polygons, len(vertices))
    polygons = polygons[_with_backward_triangle(doubled_areas(vertices, of_polygons), counts[polygons] - 2)]
    starts = (np.cumsum(counts) - counts)[polygons]
    kept = np.ones(len(faces), dtype=bool)
    for row, count, ears in zip(
        rows[polygons], counts[polygons], _ears(counts[polygons], starts, corners, vertices), strict=True
    ):
        if ears is not None:
            faces[row : row + len(ears)] = ears
            kept[row + len(ears) : row + count - 2] = False
    return faces if kept.all() else faces[kept]


def _with_backward_triangle(areas: list[NDArray[np.float64]], num_triangles: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which polygons (p,) have a triangle that faces backwards.

    The normal is that of Newell (Sutherland, Sproull and Schumacker, A Characterization of Ten Hidden-Surface
    Algorithms, 1974): the sum of the triangles' normals, whose length is twice the area of a plane polygon.
    """
    starts = np.cumsum(num_triangles) - num_triangles
    normals = [np.add.reduceat(axis, starts) for axis in areas]
    along = sum(axis * np.repeat(normal, num_triangles) for axis, normal in zip(areas, normals, strict=True))
    squared = sum(normal**2 for normal in normals)
    return np.asarray(np.minimum.reduceat(along, starts) < -ROUNDING * squared)


def _ears(
    counts: NDArray[np.integer],
    starts: NDArray[np.integer],
    corners: NDArray[np.integer],
    vertices: NDArray[np.floating],
) -> Iterator[NDArray[np.int64] | None]:
    """Yield the triangles (m, 3) of each polygon, given the number and the first place of its corners.

    None if its ears do not cover it. Corners on a straight line may belong to no triangle.
    """
    _refuse_endless(counts)
    for count, start in zip(counts, starts, strict=True):
        ring = corners[start : start + count]
        flat, doubled_area = _flattened(vertices[ring].astype(np.float64))
        found = mapbox_earcut.triangulate_float64(flat, np.array([count], np.uint32)).reshape(-1, 3)
        (ax, ay), (bx, by) = (flat[found[:, 1:]] - flat[found[:, :1]]).transpose(1, 2, 0)
        areas = ax * by - ay * bx
        covers = abs(np.abs(areas).sum() - doubled_area) < COVERED * doubled_area
        yield ring[found if areas.sum() > 0 else found[:, ::-1]] if covers else None


def _flattened(ring: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the corners (n, 2) of a ring (n, 3), counter-clockwise in its plane, and twice its area."""
    x, y, z = (ring - ring[0]).T
    nx, ny, nz = (float(u[:-1] @ v[1:] - v[:-1] @ u[1:]) for u, v in ((y, z), (z, x), (x, y)))  # Newell's normal
    length = math.hypot(nx, ny, nz)
    nx, ny, nz = (n / (length or 1.0) for n in (nx, ny, nz))  # rounding may have made a normal of a ring without one
    # Two axes at right angles to the normal (Duff et al., Building an Orthonormal Basis, Revisited, 2017). Sums, and no
    # matrix product, which may round equal corners differently, so that the two edges of a keyhole would cross.
    sign = math.copysign(1.0, nz)
    a = -1 / (sign + nz)
    b = nx * ny * a
    right, up = (1 + sign * nx * nx * a, sign * b, -sign * nx), (b, sign + ny * ny * a, -ny)
    return np.stack([x * u + y * v + z * w for u, v, w in (right, up)], axis=1), length


def _refuse_endless(counts: NDArray[np.integer]) -> None:
    """Raise DataError if concave polygons with these numbers of corners may take too long."""
    most, pairs = int(counts.max(initial=0)), int((counts.astype(np.float64) ** 2).sum())
    if most > MAX_CORNERS or pairs > MAX_PAIRS:
        raise DataError(
            f"{len(counts):,} concave faces with up to {most:,} corners, which would take too long to cut into "
            "triangles; export it as triangles"
        )
