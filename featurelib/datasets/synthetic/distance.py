"""Solids as functions: the signed distance to a shape, negative inside, and smooth joints of shapes.

Each function takes points (n, 3) in mm and returns (n,) approximate distances in mm. Only the zero set and the sign
near it are exact, which is sufficient for a polygoniser and for Newton's method.
The shapes and the polynomial blend follow Inigo Quilez, https://iquilezles.org/articles/distfunctions and
https://iquilezles.org/articles/smin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Joint = Literal["add", "carve", "dent"]
Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]

FAR_MM = 1e3
"""Distance of points outside the reach of all parts."""

BISECTIONS = 40
"""Halvings of a millimetre until a point is on the surface to the last bit."""


@dataclass(frozen=True)
class Part:
    """One shape of a solid, and its joint with the shapes before it.

    distance: of the shape.
    centre_mm, reach_mm: a sphere outside which the part changes nothing; points outside are not computed.
    blend_mm: the width over which the joint is rounded; larger than 0.
    joint: "add" the shape, "carve" it away, or "dent" the surface, with `distance` as the depth of the dent.
    """

    distance: Distance
    centre_mm: NDArray[np.float64]
    reach_mm: float
    blend_mm: float
    joint: Joint = "add"


def ellipsoid(centre_mm: ArrayLike, radii_mm: ArrayLike, *, blend_mm: float, joint: Joint = "add") -> Part:
    """Return an ellipsoid with the given centre (3,) and half axes (3,) along x, y, z."""
    centre, radii = np.asarray(centre_mm, np.float64), np.asarray(radii_mm, np.float64)

    def distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (points - centre) / radii
        stretch = np.sqrt(_squares(scaled))
        slope = np.sqrt(_squares(scaled / radii))
        return (stretch - 1) * np.maximum(stretch / np.maximum(slope, 1e-9), radii.min())  # the limit at the centre

    return Part(distance, centre, float(radii.max()) + _margin_mm(blend_mm), blend_mm, joint)


def round_cone(
    start_mm: ArrayLike, end_mm: ArrayLike, radii_mm: tuple[float, float], *, blend_mm: float, joint: Joint = "add"
) -> Part:
    """Return the hull of two balls: radius `radii_mm[0]` at `start_mm` (3,) and `radii_mm[1]` at `end_mm` (3,)."""
    start, end = np.asarray(start_mm, np.float64), np.asarray(end_mm, np.float64)
    length = float(np.linalg.norm(end - start))
    axis = (end - start) / length

    def distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
        offsets = points - start
        along = np.einsum("ij,j->i", offsets, axis)
        aside = np.sqrt(np.maximum(_squares(offsets) - along * along, 0))
        return two_discs(aside, along, length, radii_mm)

    reach_mm = length / 2 + max(radii_mm) + _margin_mm(blend_mm)
    return Part(distance, (start + end) / 2, reach_mm, blend_mm, joint)


def half_space_below(height_mm: float, *, blend_mm: float) -> Part:
    """Return the half-space y < `height_mm` as a part that is carved away."""
    return Part(lambda points: points[:, 1] - height_mm, np.zeros(3), np.inf, blend_mm, joint="carve")


def two_discs(
    aside: NDArray[np.float64], along: NDArray[np.float64], length: float, radii: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the distance (n,), in a plane, to the hull of two discs whose centres are `length` apart.

    Args:
        aside: (n,) distances from the line through the centres, not negative.
        along: (n,) positions on that line; 0 at the first centre, `length` at the second.
        length: the distance of the centres, larger than the difference of the radii.
        radii: of the first and the second disc.
    """
    sine = (radii[0] - radii[1]) / length
    cosine = np.sqrt(1 - sine * sine)
    position = along * cosine - aside * sine  # along the common tangent
    side = aside * cosine + along * sine - radii[0]
    first = np.hypot(aside, along) - radii[0]
    second = np.hypot(aside, along - length) - radii[1]
    return np.where(position < 0, first, np.where(position > length * cosine, second, side))


def solid(parts: Sequence[Part], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signed distance (n,) from points (n, 3) to the parts joined in their order."""
    total = np.full(len(points), FAR_MM)
    for part in parts:
        offsets = points - part.centre_mm
        near = np.flatnonzero(_squares(offsets) < part.reach_mm**2)
        here, new = total[near], part.distance(points[near])
        total[near] = _join(here, new, part)
    return total


def gradient(parts: Sequence[Part], points: NDArray[np.float64], step_mm: float = 1e-3) -> NDArray[np.float64]:
    """Return the gradient (n, 3) of `solid` at points (n, 3) by central differences."""
    steps = step_mm * np.eye(3)
    return np.stack([solid(parts, points + s) - solid(parts, points - s) for s in steps], -1) / (2 * step_mm)


def exit_mm(
    parts: Sequence[Part], inside_mm: NDArray[np.float64], direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the first point (3,) of the surface from a point (3,) inside in a direction (3,) of length 1."""
    steps = np.arange(0.0, FAR_MM, 1.0)
    end = steps[(solid(parts, inside_mm + steps[:, None] * direction) > 0).argmax()]
    start = end - 1.0
    for _ in range(BISECTIONS):
        middle = (start + end) / 2
        is_inside = solid(parts, (inside_mm + middle * direction)[None])[0] < 0
        start, end = (middle, end) if is_inside else (start, middle)
    return np.asarray(inside_mm + end * direction)


def _join(here: NDArray[np.float64], new: NDArray[np.float64], part: Part) -> NDArray[np.float64]:
    """Return the distance `here` after joining a part with the distance `new`."""
    if part.joint == "dent":
        return here + new
    return -_melt(-here, new, part.blend_mm) if part.joint == "carve" else _melt(here, new, part.blend_mm)


def _squares(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared lengths (n,) of vectors (n, 3); einsum takes a third of the time of sum(axis=-1)."""
    return np.einsum("ij,ij->i", vectors, vectors)


def _margin_mm(blend_mm: float) -> float:
    """Return the margin around a shape within which its distance affects its joint and those of later parts.

    It is twice the blend, because the ellipsoid's formula underestimates the distance by up to a quarter.
    """
    return 2 * max(blend_mm, 15.0)


def _melt(a: NDArray[np.float64], b: NDArray[np.float64], blend: float) -> NDArray[np.float64]:
    """Return the smaller of a and b, rounded where they differ by less than `blend` (cubic, so normals are smooth)."""
    overlap = np.maximum(blend - np.abs(a - b), 0) / blend
    return np.minimum(a, b) - overlap**3 * (blend / 6)
