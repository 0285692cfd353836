"""The surface of VTK's cells, which both of its formats have: polygons and triangle strips over common points."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.cutting import triangles
from featurelib.meshes.readers.polygons import refuse_missing_vertices
from featurelib.meshes.readers.polygons import strips as strip_triangles


class Cells(NamedTuple):
    """Cells with the number of corners of each, counts (c,), and their points, corners (sum of counts,)."""

    counts: NDArray[np.integer]
    corners: NDArray[np.integer]

    @classmethod
    def none(cls) -> Self:
        """Return no cells."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def ending_at(cls, ends: NDArray[np.integer], corners: NDArray[np.integer]) -> Self:
        """Return the cells whose last corners are before the places `ends` (c,).

        Raises:
            DataError: if the places do not fit the corners.
        """
        counts = np.diff(ends, prepend=0)
        if counts.min(initial=0) < 0 or (int(ends[-1]) if len(ends) else 0) != len(corners):
            raise DataError(f"{len(ends):,} cells do not fit their {len(corners):,} corners (the file is damaged)")
        return cls(counts, corners)

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """Return some of the cells (c,)."""
        return type(self)(self.counts[chosen], self.corners[np.repeat(chosen, self.counts)])

    def moved(self, first_point: int) -> Self:
        """Return the cells with points that are counted from another one."""
        return self._replace(corners=self.corners.astype(np.int64) + first_point)


def joined(cells: Sequence[Cells]) -> Cells:
    """Return the cells of all parts."""
    counts, corners = zip(Cells.none(), *cells, strict=True)
    return Cells(np.concatenate(counts), np.concatenate(corners))


def surface(vertices: NDArray[np.floating], polygons: Cells, strips: Cells, limits: Limits) -> NDArray[np.integer]:
    """Return the (m, 3) triangles of polygons and strips over vertices (n, 3).

    Raises:
        DataError: if there are none, or more than the limit.
    """
    limits.check_counts(0, int(sum(np.maximum(cells.counts - 2, 0).sum() for cells in (polygons, strips))))
    faces = [triangles(*polygons, vertices, limits)] if (polygons.counts > 2).any() else []
    refuse_missing_vertices(strips.corners, len(vertices))
    separated = np.insert(strips.corners.astype(np.int64), np.cumsum(strips.counts) - strips.counts, -1)
    return np.concatenate([*faces, strip_triangles(separated)])
