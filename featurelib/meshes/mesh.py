"""A triangle mesh in the object frame and its smooth normals."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import apply

SINGLE_PRECISION_MM = 2.0**15
"""float32 holds coordinates up to this (33 m) to 0.001 mm: it rounds them by at most 2^-10 mm."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh in the object frame.

    vertices_mm: (n, 3) float32, C-contiguous; float64 if a coordinate exceeds SINGLE_PRECISION_MM.
    faces: (m, 3) int32 indices of vertices, in the winding of the file (usually counter-clockwise from outside).
    normals: (n, 3) float32 smooth unit normals; zero if a vertex has no face with an area.
    colours: (n, 3) uint8 RGB of the vertices, or None.
    uv: (n, 2) float32 texture position, (0, 0) the bottom-left corner of the texture, or None.
    texture: (h, w, 3) uint8 RGB, row 0 at the top, or None. A mesh with uv and texture ignores its colours.
    notes: what was repaired or left out when its file was read, a phrase each.
    """

    vertices_mm: NDArray[np.floating]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    colours: NDArray[np.uint8] | None = None
    uv: NDArray[np.float32] | None = None
    texture: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def smooth(
        cls,
        vertices_mm: ArrayLike,
        faces: ArrayLike,
        *,
        colours: ArrayLike | None = None,
        uv: ArrayLike | None = None,
        texture: ArrayLike | None = None,
    ) -> Self:
        """Return the mesh of vertices (n, 3) and faces (m, 3), with the smooth normals of `smooth_normals`."""
        vertices_mm = _held(np.asarray(vertices_mm))
        faces = np.ascontiguousarray(faces, dtype=np.int32)
        return cls(
            vertices_mm,
            faces,
            smooth_normals(vertices_mm, faces),
            None if colours is None else np.ascontiguousarray(colours, dtype=np.uint8),
            None if uv is None else np.ascontiguousarray(uv, dtype=np.float32),
            None if texture is None else np.ascontiguousarray(texture, dtype=np.uint8),
        )

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) lowest and highest corner of the bounding box."""
        return np.array([self.vertices_mm.min(axis=0), self.vertices_mm.max(axis=0)], dtype=np.float64)

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """(3,) centre of the bounding box."""
        lowest, highest = self.bounds_mm
        return np.asarray((lowest + highest) / 2)

    def in_single_precision(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the vertices (n, 3) as float32, relative to an origin (3,) in mm, for code that needs float32.

        The origin is zero unless the mesh is so far away that its vertices are float64; then it is the mesh's centre.
        """
        if self.vertices_mm.dtype == np.float32:
            return self.vertices_mm, np.zeros(3)
        return (self.vertices_mm - self.centre_mm).astype(np.float32), self.centre_mm

    def mirrored(self, centre_x_mm: float = 0.0) -> Self:
        """Return the mesh mirrored in the plane x = centre_x_mm, with reversed faces, so that outside stays outside."""
        flip = np.array([-1, 1, 1], dtype=np.float32)
        vertices_mm = self.vertices_mm * flip + np.array([2 * centre_x_mm, 0, 0], dtype=self.vertices_mm.dtype)
        faces = np.ascontiguousarray(self.faces[:, ::-1])
        return replace(self, vertices_mm=vertices_mm, faces=faces, normals=self.normals * flip)

    def moved(self, a_from_b: NDArray[np.floating]) -> Self:
        """Return the mesh of frame b in frame a; `a_from_b` (4, 4) is a similarity."""
        rotation = a_from_b[:3, :3] / np.cbrt(np.linalg.det(a_from_b[:3, :3]))
        vertices_mm = _held(apply(a_from_b, self.vertices_mm))
        return replace(self, vertices_mm=vertices_mm, normals=(self.normals @ rotation.T).astype(np.float32))


def _held(vertices_mm: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return vertices (n, 3) as float32 if that holds them to 0.001 mm, else as float64."""
    farthest_mm = max(vertices_mm.max(initial=0), -vertices_mm.min(initial=0))
    return np.ascontiguousarray(vertices_mm, dtype=np.float32 if farthest_mm <= SINGLE_PRECISION_MM else np.float64)


def smooth_normals(vertices_mm: NDArray[np.floating], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the (n, 3) unit normals: the mean of the faces at each position, weighted by their areas.

    Vertices at the same position share one normal, so that a triangle soup (STL) and the seam of a texture are smooth.
    A position whose faces have no area has the normal zero.
    """
    areas = doubled_areas(vertices_mm, faces)
    position_of_vertex = position_ids(vertices_mm)
    position_of_corner = position_of_vertex[faces].ravel()
    count = int(position_of_vertex.max()) + 1
    sums = [np.bincount(position_of_corner, np.repeat(axis, 3), count) for axis in areas]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    return np.asarray(normals[position_of_vertex], dtype=np.float32)


def doubled_areas(vertices_mm: NDArray[np.floating], faces: NDArray[np.integer]) -> list[NDArray[np.float64]]:
    """Return x, y and z, each (m,), of the faces' normals, whose lengths are twice the areas.

    Computing them axis by axis takes half the time of np.cross.
    """
    first, second, third = np.ascontiguousarray(faces.T)
    x, y, z = np.ascontiguousarray(vertices_mm.T, dtype=np.float64)
    (ax, bx), (ay, by), (az, bz) = [(c[second] - c[first], c[third] - c[first]) for c in (x, y, z)]
    return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx]


def position_ids(vertices_mm: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return (n,) numbers that are equal for vertices at the same position, of float64 ones to a millionth of a mm."""
    if vertices_mm.dtype == np.float64:  # a rotation may round equal positions differently
        vertices_mm = np.round(vertices_mm, 6)
    rows = np.ascontiguousarray(vertices_mm + np.float32(0))  # -0 + 0 is +0: equal values become equal bytes
    return np.unique(rows.view(np.dtype((np.void, rows.strides[0]))).ravel(), return_inverse=True)[1]
