"""What the landmarks of a set have in common: typical values pooled over all, with a factor for each.

A badly defined landmark has larger errors and larger quality scores than others, and on new objects as well. Its own
validation objects are few, so its factor is shrunk towards 1. Landmarks that are mirror images of each other have one
channel (`geometry.canonical`) and one factor, so a single pair has the factor 1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PRIOR_OBJECTS = 4
"""Weight of the value of all landmarks in that of each channel, in objects. With 9 objects a channel's mean error is
known to about a sixth, and channels of real skulls differ threefold."""

LEAST_FACTOR = 0.25
"""Lower bound of a score's factor; a landmark whose scores are mostly zero has no scale of its own."""


def one_channel(channel: ArrayLike | None, num_landmarks: int) -> NDArray[np.intp]:
    """Return the channels (k,), numbered from zero; one for all landmarks if they are None."""
    if channel is None:
        return np.zeros(num_landmarks, dtype=np.intp)
    return np.asarray(np.unique(np.asarray(channel), return_inverse=True)[1], dtype=np.intp)


def length_factors(lengths: Floats, channel: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the mean length of each landmark as a factor of that of all (k,), and the same without each object (n, k).

    The second has for each object the factors of the other objects. Lengths divided by those are what lengths of new
    objects are when divided by the first.

    Args:
        lengths: (n, k) not negative, NaN where not known.
        channel: (k,) from zero.
    """
    members = np.eye(channel.max() + 1)[channel]  # (k, c)
    known = np.isfinite(lengths)
    totals, counts = np.where(known, lengths, 0.0) @ members, known @ members  # (n, c)
    present = counts > 0
    everywhere = _shrunk(totals.sum(axis=0), counts.sum(axis=0), present.sum(axis=0))
    elsewhere = _shrunk(totals.sum(axis=0) - totals, counts.sum(axis=0) - counts, present.sum(axis=0) - present)
    return everywhere[channel], elsewhere[:, channel]


def score_factors(scores: Floats, channel: NDArray[np.intp]) -> Floats:
    """Return the median score of each landmark as a factor (k,) of that of all.

    Args:
        scores: (n, k) NaN where not known.
        channel: (k,) from zero.
    """
    finite = np.isfinite(scores)
    pooled = float(np.median(scores[finite])) if finite.any() else 0.0
    factors = np.ones(channel.max() + 1)
    if len(factors) == 1 or pooled <= 0:
        return factors[channel]
    for each in range(len(factors)):
        own, is_known = scores[:, channel == each], finite[:, channel == each]
        if is_known.any():
            count = is_known.any(axis=1).sum()
            factors[each] = (count * np.median(own[is_known]) / pooled + PRIOR_OBJECTS) / (count + PRIOR_OBJECTS)
    return np.maximum(factors, LEAST_FACTOR)[channel]


def _shrunk(totals: Floats, counts: Floats, num_objects: NDArray[np.integer]) -> Floats:
    """Return the factors (..., c) of sums of lengths over their counts (..., c), for numbers of objects (..., c)."""
    if totals.shape[-1] == 1:
        return np.ones(totals.shape)
    pooled = totals.sum(axis=-1, keepdims=True) / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    own = np.where(counts > 0, totals / np.maximum(counts, 1), pooled)
    ratio = np.divide(own, pooled, out=np.ones_like(own), where=pooled > 0)
    return np.asarray((num_objects * ratio + PRIOR_OBJECTS) / (num_objects + PRIOR_OBJECTS))
