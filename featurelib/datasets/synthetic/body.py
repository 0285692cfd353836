"""One random body: its solid is polygonised, its vertices are moved onto the surface, and it gets a random pose."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes

from featurelib.datasets.synthetic.anatomy import Traits
from featurelib.datasets.synthetic.distance import Part, gradient, solid
from featurelib.datasets.synthetic.landmarks import EAR_TIPS
from featurelib.geometry import LandmarkSet, apply, rigid

GRID_MM = (
    ((-150, 0.6), (-58, 1.2), (-30, 1.0), (30, 1.2), (58, 0.6), (150, 1.0)),
    ((-164, 0.9), (-140, 1.6), (-90, 1.0), (-48, 0.7), (56, 1.5), (124, 1.0)),
    ((-120, 1.4), (-72, 0.7), (6, 1.1), (136, 1.0)),
)
"""Along x, y, z: (start in mm, spacing from there in units of the resolution). The last entry is the end of the grid.
Cells are small at ears and face, large at neck and crown. Frame: the body's own (see anatomy.py)."""

MAX_TURN_DEG = 12.0
MAX_SHIFT_MM = 8.0
MAX_SCALE = 0.05
"""Limits of the pose: rotation about a random axis, translation along each axis, and relative change of scale."""


@dataclass(frozen=True, eq=False)
class Body:
    """A closed triangle mesh and its landmarks, object frame, mm.

    vertices_mm: (n, 3) float32.
    faces: (m, 3) int32, counter-clockwise seen from outside.
    landmarks_mm: (k, 3) float64 in the order of the set; all are vertices.
    """

    vertices_mm: NDArray[np.float32]
    faces: NDArray[np.int32]
    landmarks_mm: NDArray[np.float64]


def make_body(
    seed: int | np.random.Generator, *, resolution_mm: float = 6.0, landmarks: LandmarkSet = EAR_TIPS
) -> Body:
    """Return the random body of a seed, the same to the byte in each call.

    Args:
        seed: a number, or a generator to draw from.
        resolution_mm: distance between grid points, smaller at ears and face, larger elsewhere. 6 mm gives 13,000 to
            15,200 faces in 0.26 s on one core; half of it gives four times as many faces.
        landmarks: some of synthetic.LANDMARKS; by default the tips of the ears.
    """
    rng = np.random.default_rng(seed)
    traits, object_from_body = Traits.draw(rng), _draw_pose(rng)
    parts = traits.parts()
    vertices, faces = _polygonise(parts, resolution_mm)
    vertices = _smooth(parts, vertices, faces)
    points = traits.landmarks_mm(landmarks.names)
    vertices = _with_vertices_at(points, vertices)
    return Body(apply(object_from_body, vertices).astype(np.float32), faces, apply(object_from_body, points))


def _draw_pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random similarity (4, 4), body's own frame to object frame."""
    axis = rng.normal(size=3)
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * rng.uniform(0, MAX_TURN_DEG), degrees=True)
    scale = 1 + rng.uniform(-MAX_SCALE, MAX_SCALE)
    return rigid(turn.as_matrix() * scale, rng.uniform(-MAX_SHIFT_MM, MAX_SHIFT_MM, 3))


def _polygonise(parts: Sequence[Part], step_mm: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return vertices (n, 3) and faces (m, 3) of the zero set, by marching cubes."""
    axes = [_ticks(spans, step_mm) for spans in GRID_MM]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    distances = solid(parts, grid.reshape(-1, 3)).reshape(grid.shape[:3])
    cells, faces, _, _ = marching_cubes(distances, 0.0)
    vertices = [np.interp(cells[:, k], np.arange(len(axis)), axis) for k, axis in enumerate(axes)]
    return np.stack(vertices, axis=-1), faces.astype(np.int32)


def _ticks(spans: Sequence[tuple[float, float]], step_mm: float) -> NDArray[np.float64]:
    """Return the grid's coordinates along one axis, for an entry of GRID_MM."""
    pieces = [
        np.linspace(start, end, max(1, round((end - start) / (spacing * step_mm))), endpoint=False)
        for (start, spacing), (end, _) in pairwise(spans)
    ]
    return np.concatenate([*pieces, [spans[-1][0]]])


def _smooth(parts: Sequence[Part], vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the vertices, spaced evenly and moved onto the surface.

    Marching cubes leaves slivers, whose normals are noise. Each round moves a vertex within the surface towards the
    mean of its neighbours, and takes one step of Newton's method towards the surface.
    """
    mean_of_neighbours = _averaging(faces, len(vertices))
    for sideways in (0.0, 0.7, 0.7, 0.7, 0.0):
        slopes = gradient(parts, vertices)
        squared = (slopes * slopes).sum(axis=-1, keepdims=True)
        pull = sideways * (mean_of_neighbours @ vertices - vertices)
        pull -= (pull * slopes).sum(axis=-1, keepdims=True) / squared * slopes
        vertices = vertices - solid(parts, vertices)[:, None] * slopes / squared + pull
    return vertices


def _averaging(faces: NDArray[np.int32], num_vertices: int) -> csr_array:
    """Return the (n, n) matrix from values at vertices to the means over each vertex's neighbours."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()  # a closed mesh has each edge both ways
    links = coo_array((np.ones(len(starts)), (starts, ends)), shape=(num_vertices, num_vertices)).tocsr()
    return csr_array(links.multiply(1 / links.sum(axis=1)[:, None]))


def _with_vertices_at(points: NDArray[np.float64], vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vertices with the nearest vertex to each of the points (k, 3) moved there, so that no tip is cut."""
    moved = vertices.copy()
    for point in points:
        moved[np.linalg.norm(vertices - point, axis=-1).argmin()] = point
    return moved
