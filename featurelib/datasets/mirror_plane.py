"""The mirror plane of points: the plane in which they are reflected onto each other, and which onto which.

The reflected points are matched to the points by the assignment with the smallest squared distances; plane and
assignment improve each other until neither changes. Of the results from many first planes the one with most support
wins.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FIT_ROUNDS = 20
"""Largest number of rounds; two or three are usual."""

NUM_PLANES = 60
"""First planes beside the three principal ones."""

GAPS = (0.06, 0.03, 0.015, 0.0075)
"""Largest gaps of a match that are tried, as shares of the shape's length. On 62 mouse skulls the largest is 0.01."""

LEAST_GAP = 5e-4
"""Gaps are not taken for smaller than this share of the length: positions are rounded."""


class Match(NamedTuple):
    """A mirror plane of k points and what it maps to what.

    normal: (3,) of length 1. offset: of the plane along it. partner: (k,) index of each point's counterpart, its own
    for midline points, -1 without one. gaps, next_best: (k,) distances as shares of the length.
    support: how much shorter the positions can be told with the plane than without it, in nats. A pair tells two
    coordinates along the surface and a midline point one, each the logarithm of the points' spread over the gaps; the
    plane costs one pair, and the choice of the partners the logarithm of the number of choices.
    """

    normal: NDArray[np.float64]
    offset: float
    partner: NDArray[np.intp]
    gaps: NDArray[np.float64]
    next_best: NDArray[np.float64]
    support: float


def best_match(points: NDArray[np.float64]) -> Match | None:
    """Return the match with most support; None if all points are at one place."""
    centre, size = points.mean(axis=0), length(points)
    if size == 0:
        return None
    shape = (points - centre) / size
    first = np.concatenate([np.linalg.svd(shape)[2], _directions(NUM_PLANES)])
    best = max((_settled(shape, normal) for normal in first), key=lambda match: match.support)
    return best._replace(offset=best.offset * size + float(centre @ best.normal))


def _settled(shape: NDArray[np.float64], normal: NDArray[np.float64]) -> Match:
    """Return the match after plane and assignment have improved each other, from a first plane through the centre.

    The largest gap begins large, so that a rough plane finds enough counterparts, and ends where the support is most.
    """
    offset, found = 0.0, []
    for largest in (4 * GAPS[0], 2 * GAPS[0], *GAPS):
        before = np.empty(0, dtype=np.intp)
        for _ in range(FIT_ROUNDS):
            partner = _involution(_distances(shape, normal, offset), largest)
            if np.array_equal(partner, before) or not (partner >= 0).any():
                break
            before, (normal, offset) = partner, _plane(shape, partner)
        found.append(_match(shape, normal, offset, partner))
    return max(found[2:], key=lambda match: match.support)


def _match(shape: NDArray[np.float64], normal: NDArray[np.float64], offset: float, partner: NDArray[np.intp]) -> Match:
    distances, rows = _distances(shape, normal, offset), np.arange(len(shape))
    is_matched = partner >= 0
    gaps = np.where(is_matched, distances[rows, partner], np.inf)
    distances[rows[is_matched], partner[is_matched]] = np.inf
    support = _support(shape, normal, offset, partner, gaps)
    return Match(normal, offset, partner, gaps, distances.min(axis=1), support)


def _support(
    shape: NDArray[np.float64],
    normal: NDArray[np.float64],
    offset: float,
    partner: NDArray[np.intp],
    gaps: NDArray[np.float64],
) -> float:
    """Return the support for a plane, as described at Match; none without a pair, or with a plane's three numbers."""
    is_midline = partner == np.arange(len(partner))
    is_paired = (partner >= 0) & ~is_midline
    num_pairs, num_midline = int(is_paired.sum()) // 2, int(is_midline.sum())
    surplus = 3 * num_pairs + num_midline - 3
    if num_pairs == 0 or surplus <= 0:
        return -math.inf
    squares = (gaps[is_paired] ** 2).sum() / 2 + ((gaps[is_midline] / 2) ** 2).sum()
    error = max(math.sqrt(squares / surplus), LEAST_GAP)
    across = max(float(np.sqrt(((shape @ normal - offset) ** 2).mean())), error)
    spreads = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(shape.T, bias=True)), error**2))
    along_surface = 2 * float(np.log(spreads / error).mean())
    counts = (len(partner), num_pairs, num_midline, len(partner) - 2 * num_pairs - num_midline)
    choices = math.lgamma(counts[0] + 1) - sum(math.lgamma(n + 1) for n in counts[1:]) - num_pairs * math.log(2)
    return (num_pairs - 1) * along_surface + num_midline * math.log(across / error) - choices


def _distances(shape: NDArray[np.float64], normal: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
    """Return the distances (k, k) of the reflected points from the points; symmetric."""
    reflected = shape - 2 * ((shape @ normal) - offset)[:, None] * normal
    distances: NDArray[np.float64] = np.linalg.norm(reflected[:, None] - shape[None], axis=2)
    return distances


def _involution(distances: NDArray[np.float64], largest: float) -> NDArray[np.intp]:
    """Return the partners (k,) of least squared distances, each other's partners or their own; -1 beyond `largest`.

    The assignment may have cycles of more than two points. In one of even length, two pairings share its cost; in one
    of odd length, a point is its own partner, so the best of all such divisions of the cycle is taken.
    """
    count = len(distances)
    costs = np.full((count, 2 * count), np.inf)
    costs[:, :count] = np.where(distances <= largest, distances**2, 4 * largest**2)
    costs[:, count:] = np.where(np.eye(count, dtype=bool), largest**2, 4 * largest**2)
    columns = linear_sum_assignment(costs)[1]
    partner = np.full(count, -1, dtype=np.intp)
    for cycle in _cycles(columns, count):
        if len(cycle) == 1:
            partner[cycle[0]] = cycle[0]
            continue
        for a, b in _division(cycle, distances, largest):
            partner[a], partner[b] = b, a
    rows = np.arange(count)
    partner[distances[rows, partner] > largest] = -1
    return partner


def _cycles(columns: NDArray[np.intp], count: int) -> list[list[int]]:
    """Return the cycles, and open chains, of an assignment; points without a partner are in none."""
    targets = {row: int(column) for row, column in enumerate(columns) if column < count}
    starts = [*(set(targets) - set(targets.values())), *targets]  # chains first, from their beginnings
    found: list[list[int]] = []
    while starts:
        row, cycle = starts.pop(0), []
        while row in targets:
            cycle.append(row)
            row = targets.pop(row)
        if cycle and row not in cycle:
            cycle.append(row)
        if cycle:
            found.append(cycle)
    return found


def _division(cycle: Sequence[int], distances: NDArray[np.float64], largest: float) -> list[tuple[int, int]]:
    """Return the best division of a cycle into pairs and, if its length is odd, a point that is its own partner."""
    count = len(cycle)
    options = []
    for start in range(count if count % 2 else 2):
        turned = [*cycle[start:], *cycle[:start]]
        alone = [(turned.pop(), -1)] if count % 2 else []
        pairs = [*zip(turned[::2], turned[1::2], strict=True), *((point, point) for point, _ in alone)]
        options.append(pairs)
    return min(options, key=lambda pairs: sum((1 + (a != b)) * min(distances[a, b], largest) ** 2 for a, b in pairs))


def _plane(shape: NDArray[np.float64], partner: NDArray[np.intp]) -> tuple[NDArray[np.float64], float]:
    """Return normal and offset of the plane that reflects points onto their partners, in the least-squares sense."""
    matched = partner >= 0
    own, other = shape[matched], shape[partner[matched]]
    middle = own.mean(axis=0)
    products = (own - middle).T @ (other - middle)
    normal = np.linalg.eigh(products + products.T)[1][:, 0]
    return normal, float(middle @ normal)


def _directions(count: int) -> NDArray[np.float64]:
    """Return directions (count, 3) spread evenly over half of the sphere by Vogel's spiral."""
    steps = np.arange(count) + 0.5
    z, angle = steps / count, np.pi * (1 + np.sqrt(5)) * steps
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def length(points: NDArray[np.float64]) -> float:
    """Return the largest distance between two points."""
    known = points[np.isfinite(points).all(axis=1)]
    return float(np.sqrt(((known[:, None] - known[None]) ** 2).sum(axis=2).max())) if len(known) else 0.0
