"""Which landmarks are mirror images of each other, from their positions on all objects.

The mean shape (generalised Procrustes analysis, Gower, Psychometrika 40, 1975) is reflected and matched to itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.mirror_plane import Match, best_match, length
from featurelib.geometry import LandmarkSet

MEAN_ROUNDS = 12
"""Largest number of rounds; five are usual."""

LEAST_SUPPORT = 8.0
"""A shape with less (see `mirror_plane.Match`) has no symmetry. 80 sets of 4 to 100 random points have at most 5."""

LEFT_COSINE = 0.5
"""The smallest cosine between the axis from right to left and +x of aligned objects, of 60 degrees."""

DOUBTFUL = 0.6
"""A match is doubtful if the next best landmark is closer than its gap divided by this."""


@dataclass(frozen=True, eq=False)
class PairInference:
    """The pairs of a landmark set as its mean shape tells them.

    pairs: (left, right) names. midline, unpaired: further names, in the order of the set.
    gaps: distance of each landmark from the mirror image of its counterpart, by name, as a share of the shape's length.
    next_best: the same for the closest other landmark.
    points: (k, 3) the mean shape by the order of `names`; its mirror plane is x = 0, and +x is left.
    left_axis: axis of the given points that is towards left, such as "+x". is_left_known: whether they were aligned and
    it is their x axis; otherwise left was guessed.
    """

    names: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    midline: tuple[str, ...]
    unpaired: tuple[str, ...]
    gaps: Mapping[str, float]
    next_best: Mapping[str, float]
    points: NDArray[np.float64]
    left_axis: str
    is_left_known: bool

    @property
    def is_symmetric(self) -> bool:
        """Whether the shape has mirror symmetry; without it all landmarks are unpaired."""
        return bool(self.pairs)

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The names of landmarks that match another landmark almost as well."""
        return tuple(name for name, gap in self.gaps.items() if DOUBTFUL * self.next_best[name] < gap)

    def landmark_set(self) -> LandmarkSet:
        """Return the set."""
        return LandmarkSet(self.pairs, self.midline, self.unpaired, "swap" if self.pairs else "none")


def infer_pairs(names: Sequence[str], points: ArrayLike, *, is_aligned: bool = False) -> PairInference:
    """Return the pairs of landmarks from their positions.

    Args:
        names: of the k landmarks.
        points: (n, k, 3) of n objects in any unit, NaN where not labelled; in any pose if not aligned.
        is_aligned: whether +x of the points is the objects' own left.
    """
    mean = mean_shape(np.asarray(points, dtype=np.float64))
    known = np.isfinite(mean.points).all(axis=1)
    match = best_match(mean.points[known]) if known.sum() > 1 else None
    if match is None or match.support < LEAST_SUPPORT:
        return PairInference((*names,), (), (), (*names,), {}, {}, mean.points, "+x", is_left_known=False)
    return _named(names, mean, np.flatnonzero(known), match, is_aligned)


class MeanShape(NamedTuple):
    """Mean positions (k, 3), NaN where no object has the landmark, and the rotations (m, 3, 3) to it of m objects."""

    points: NDArray[np.float64]
    rotations: NDArray[np.float64]


def mean_shape(points: NDArray[np.float64]) -> MeanShape:
    """Return the mean of objects (n, k, 3) with partial labels, in the pose and size of the one with most labels.

    An object that shares fewer than three landmarks with the mean joins it when the mean has more.
    """
    is_labelled = np.isfinite(points).all(axis=2)
    first = int(is_labelled.sum(axis=1).argmax())
    mean, rotations = points[first], np.eye(3)[None]
    for _ in range(MEAN_ROUNDS):
        fits = [fit for one in points if (fit := _fitted(one, mean)) is not None]
        moved = np.array([shape for shape, _ in fits] or [mean])
        rotations = np.array([rotation for _, rotation in fits] or [np.eye(3)])
        counts = np.isfinite(moved).all(axis=2).sum(axis=0)[:, None]
        sums = np.nansum(moved, axis=0)
        new = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        is_stable = np.allclose(new, mean, rtol=0, atol=1e-6 * length(mean), equal_nan=True)
        mean = new
        if is_stable:
            break
    return MeanShape(mean, rotations)


def _fitted(
    points: NDArray[np.float64], mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return points (k, 3) moved to a mean by a similarity, and its rotation; None if they share too few."""
    both = np.isfinite(points).all(axis=1) & np.isfinite(mean).all(axis=1)
    if both.sum() < min(3, len(points)):
        return None
    middle, centre = points[both].mean(axis=0), mean[both].mean(axis=0)
    own, other = points[both] - middle, mean[both] - centre
    left, sizes, right = np.linalg.svd(other.T @ own)
    signs = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation = (left * signs) @ right
    scale = (sizes * signs).sum() / max((own**2).sum(), np.finfo(float).tiny)
    return scale * (points - middle) @ rotation.T + centre, rotation


def _named(
    names: Sequence[str], mean: MeanShape, known: NDArray[np.intp], match: Match, is_aligned: bool
) -> PairInference:
    """Return a match by names; left is where +x of aligned objects is, or along the closest axis."""
    towards = np.einsum("mij,i->mj", mean.rotations, match.normal).mean(axis=0)
    is_along_x = is_aligned and abs(towards[0]) > LEFT_COSINE
    axis = 0 if is_along_x else int(np.abs(towards).argmax())
    sign = math.copysign(1, towards[axis])
    normal, offset = sign * match.normal, sign * match.offset
    partner = {int(known[i]): int(known[j]) for i, j in enumerate(match.partner) if j >= 0}
    sides = mean.points @ normal - offset
    pairs = [(i, j) if sides[i] > sides[j] else (j, i) for i, j in partner.items() if i < j]
    return PairInference(
        names=(*names,),
        pairs=tuple((names[i], names[j]) for i, j in pairs),
        midline=tuple(names[i] for i, j in partner.items() if i == j),
        unpaired=tuple(name for i, name in enumerate(names) if i not in partner),
        gaps={names[k]: float(gap) for k, gap in zip(known, match.gaps, strict=True) if int(k) in partner},
        next_best={names[k]: float(other) for k, other in zip(known, match.next_best, strict=True)},
        points=_in_plane_axes(mean.points, normal, offset),
        left_axis=f"+{'xyz'[axis]}",
        is_left_known=is_along_x,
    )


def _in_plane_axes(points: NDArray[np.float64], normal: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
    """Return points with the mirror plane as x = 0 and y along the axis of the plane that is closest to their own y."""
    nearest = int(np.abs(np.delete(normal, 0)).argmin()) + 1 if abs(normal[0]) >= max(abs(normal[1:])) else 2
    up = np.eye(3)[nearest] - normal[nearest] * normal
    up /= np.linalg.norm(up)
    axes = np.array([normal, up, np.cross(normal, up)])
    return points @ axes.T - (offset, 0, 0)
