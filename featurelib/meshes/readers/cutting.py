"""Cut polygons into triangles: fans where a fan covers the polygon, ears elsewhere.

A fan around the first corner covers a convex polygon, and only some concave ones. The others, and polygons with holes
that a ring reaches by a keyhole (an edge there and back), are cut by mapbox-earcut in the plane of their corners.
"""

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


def notes_on_few_corners(counts: NDArray[np.integer]) -> tuple[str, ...]:
    """Return a note if polygons with these numbers of corners give no triangle."""
    num_left_out = int((counts < 3).sum())
    note = f"left out {num_left_out:,} of {len(counts):,} faces, with fewer than three corners"
    return (note,) if num_left_out else ()


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
    if not len(polygons):
        return faces
    first_corners, rows, counts = (np.cumsum(counts) - counts)[polygons], rows[polygons], counts[polygons]
    rings = corners[_runs(first_corners, counts)]
    ears, num_ears = _ears(vertices[rings].astype(np.float64), counts)
    ears_kept = np.where(num_ears > 0, num_ears, counts - 2)
    faces[_runs(rows, num_ears)] = rings[ears]
    kept = np.ones(len(faces), dtype=bool)
    kept[_runs(rows + ears_kept, counts - 2 - ears_kept)] = False
    return faces[kept]


def _runs(firsts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the numbers of runs that begin at `firsts` (p,), one run after the other."""
    return np.arange(int(lengths.sum())) + np.repeat(firsts - np.cumsum(lengths) + lengths, lengths)


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


def _ears(points: NDArray[np.float64], counts: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ears (m, 3) of rings, as indices of their points, and the number (p,) of each ring; 0 leaves the fan.

    A ring's ears are omitted if they do not cover it. Corners on a straight line may belong to no triangle.

    Args:
        points: (sum of counts, 3) corners, ring after ring.
        counts: (p,) number of corners of each ring.
    """
    _refuse_endless(counts)
    firsts = np.cumsum(counts) - counts
    flat, whole = _flattened(points, firsts, counts)
    ends = counts.astype(np.uint32)
    cut = [
        mapbox_earcut.triangulate_float64(flat[first : first + count], ends[ring : ring + 1])
        for ring, (first, count) in enumerate(zip(firsts.tolist(), counts.tolist(), strict=True))
    ]
    num_ears = np.array([len(found) // 3 for found in cut])
    ring_of_ear = np.repeat(np.arange(len(counts)), num_ears)
    ears = np.concatenate(cut).reshape(-1, 3) + firsts[ring_of_ear, None]
    (ax, ay), (bx, by) = (flat[ears[:, 1:]] - flat[ears[:, :1]]).transpose(1, 2, 0)
    areas = ax * by - ay * bx
    total, signed = (np.bincount(ring_of_ear, values, len(counts)) for values in (np.abs(areas), areas))
    backwards = (signed < 0)[ring_of_ear]
    ears[backwards] = ears[backwards, ::-1]
    covers = np.abs(total - whole) < COVERED * whole
    return ears[covers[ring_of_ear]], np.where(covers, num_ears, 0)


def _flattened(
    points: NDArray[np.float64], firsts: NDArray[np.integer], counts: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points (n, 2) of rings, counter-clockwise in their planes, and twice the area (p,) of each."""
    x, y, z = (points - np.repeat(points[firsts], counts, axis=0)).T
    following = np.arange(1, len(points) + 1)
    following[firsts + counts - 1] = firsts
    newell = [np.add.reduceat(u * v[following] - v * u[following], firsts) for u, v in ((y, z), (z, x), (x, y))]
    lengths = np.sqrt(sum(axis**2 for axis in newell))
    # Rounding may have made a normal of a ring without one, whose length is zero here.
    nx, ny, nz = (axis / np.where(lengths > 0, lengths, 1) for axis in newell)
    # Two axes at right angles to the normal (Duff et al., Building an Orthonormal Basis, Revisited, 2017). Sums, and no
    # matrix product, which may round equal corners differently, so that the two edges of a keyhole would cross.
    sign = np.copysign(1.0, nz)
    a = -1 / (sign + nz)
    b = nx * ny * a
    right, up = (1 + sign * nx * nx * a, sign * b, -sign * nx), (b, sign + ny * ny * a, -ny)
    at = [sum(c * np.repeat(w, counts) for c, w in zip((x, y, z), axis, strict=True)) for axis in (right, up)]
    return np.stack(at, axis=1), lengths


def _refuse_endless(counts: NDArray[np.integer]) -> None:
    """Raise DataError if concave polygons with these numbers of corners may take too long."""
    most, pairs = int(counts.max(initial=0)), int((counts.astype(np.float64) ** 2).sum())
    if most > MAX_CORNERS or pairs > MAX_PAIRS:
        raise DataError(
            f"{len(counts):,} concave faces with up to {most:,} corners, which would take too long to cut into "
            "triangles; export it as triangles"
        )
