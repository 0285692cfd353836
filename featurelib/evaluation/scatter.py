"""The direction in which the errors of each landmark scatter, and how much of it is the noise of its labels.

A landmark on a suture or a ridge is well defined across it and badly defined along it: its errors scatter in one
direction. What the marks of left and right do not share, after mirroring, is the noise of the labels and of the
landmark finder: an upper limit of the labels' own noise.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet, mirror_permutation

Floats = NDArray[np.float64]

MIN_OBJECTS = 8
"""Objects whose errors show a direction."""

LARGEST = 6.0
"""Errors above this many times the landmark's median are left out: one wrong answer would determine the direction."""

ELONGATED = 2.6
"""Ratio of the standard deviations along and across from which a landmark counts as badly defined in one direction. For
errors without a direction the ratio is below 2.6 in 95 % of all samples of 8 objects, below 1.8 of 20."""

AT_NOISE = 1.25
"""Ratio of the errors' standard deviation to that of the labels up to which a landmark is at the labels' noise."""


class Scatter(NamedTuple):
    """How the errors of a landmark scatter, in mm and in the object frame.

    n: number of errors. bias_mm: (3,) their mean. along_mm, across_mm: standard deviations along the main axis, and
    along one axis across it. direction: (3,) unit vector of the main axis, whose largest component is positive.
    """

    n: int
    bias_mm: Floats
    along_mm: float
    across_mm: float
    direction: Floats

    @property
    def sigma_mm(self) -> float:
        """Standard deviation along one axis, over all directions."""
        return float(np.sqrt((self.along_mm**2 + 2 * self.across_mm**2) / 3))

    @property
    def is_elongated(self) -> bool:
        """Whether the landmark is badly defined in one direction."""
        return self.along_mm > ELONGATED * self.across_mm


def scatter(residuals_mm: Floats) -> Scatter | None:
    """Return how the errors of one landmark scatter; None for too few objects.

    Args:
        residuals_mm: (n, 3) found minus marked, NaN where not known.
    """
    known = _typical(residuals_mm)
    if len(known) < MIN_OBJECTS:
        return None
    variances, axes = np.linalg.eigh(np.cov(known.T))
    across, along = np.sqrt(np.maximum([variances[:2].mean(), variances[2]], 0))
    direction = axes[:, 2] * np.sign(axes[np.abs(axes[:, 2]).argmax(), 2])
    return Scatter(len(known), known.mean(axis=0), float(along), float(across), direction)


def label_noise_mm(residuals_mm: Floats, landmarks: LandmarkSet) -> list[float | None]:
    """Return an upper limit of the standard deviation (k,) of each pair's marks, along one axis.

    It is that of left minus mirrored right errors, over the root of 2. None for other landmarks, for too few objects,
    and if mirror images do not exchange the names of pairs.

    Args:
        residuals_mm: (n, k, 3) found minus marked, object frame, NaN where not known.
        landmarks: the set.
    """
    permutation = mirror_permutation(landmarks)
    noise: list[float | None] = [None] * len(landmarks.names)
    for k, image in enumerate([] if permutation is None else permutation.tolist()):
        if image in (k, -1):
            continue
        apart = _typical(residuals_mm[:, k] - residuals_mm[:, image] * (-1, 1, 1))
        if len(apart) >= MIN_OBJECTS:
            noise[k] = float(np.sqrt(apart.var(axis=0, ddof=1).mean() / 2))
    return noise


def scatter_report(residuals_mm: Floats, landmarks: LandmarkSet) -> dict[str, dict[str, Any]]:
    """Return the entries of each landmark in report.json about the scatter of its errors, by name.

    Arguments as of `label_noise_mm`.
    """
    noise_mm = label_noise_mm(residuals_mm, landmarks)
    scatters = [scatter(residuals_mm[:, k]) for k in range(len(landmarks.names))]
    return {
        name: {**_numbers(found), "label_noise_mm": noise, "note": _note(found, noise)}
        for name, found, noise in zip(landmarks.names, scatters, noise_mm, strict=True)
    }


def _numbers(found: Scatter | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("bias_mm", "along_mm", "across_mm", "direction"))
    return {
        "bias_mm": found.bias_mm.tolist(),
        "along_mm": found.along_mm,
        "across_mm": found.across_mm,
        "direction": found.direction.tolist(),
    }


def _note(found: Scatter | None, noise_mm: float | None) -> str:
    """Return what the scatter says about a landmark; empty if nothing."""
    notes = []
    if found and found.is_elongated:
        notes.append(
            f"badly defined in one direction: scatters {found.along_mm:.2f} mm along {_in_words(found.direction)}, "
            f"{found.across_mm:.2f} mm across"
        )
    if found and noise_mm is not None and found.sigma_mm <= AT_NOISE * noise_mm:
        notes.append("at the labels' noise")
    return "; ".join(notes)


AXES = ("left-right", "up-down", "front-back")
"""The axes of the object frame in words."""


def _in_words(direction: Floats) -> str:
    """Return the axis that a direction is closest to, or the two between which it lies."""
    order = np.argsort(-np.abs(direction))
    close = order[:1] if abs(direction[order[0]]) > np.cos(np.pi / 8) else order[:2]
    return ("a line between " if len(close) > 1 else "") + " and ".join(AXES[i] for i in close)


def _typical(residuals_mm: Floats) -> Floats:
    """Return the known errors (m, 3) without gross ones."""
    known = residuals_mm[np.isfinite(residuals_mm).all(axis=1)]
    lengths = np.linalg.norm(known - np.median(known, axis=0), axis=1) if len(known) else np.empty(0)
    return known[lengths <= LARGEST * np.median(lengths)] if len(known) else known
