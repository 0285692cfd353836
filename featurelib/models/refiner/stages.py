"""A stage: how wide the frame is, from where it is taken, and how both follow from data.

Nothing here knows how large an object is. The frame of a stage must hold the errors of what it starts from, and show
enough of the surroundings to tell where it is.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import UsageError
from featurelib.geometry import View

NUM_STAGES = 2
"""Stages that are trained; the second may be taken twice."""

NETWORKS = 2
"""Of a stage, which are trained side by side."""

REACH = 4.0
"""Frame in units of the 99th percentile of the starting error: all but 1 % start within half of the half frame."""

HEAVY = 5.0
"""The 99th percentile counts as at most this times the median, which is 2.2 times for normal errors and was 3 for the
registered mean shape: on few objects a single failure would be the percentile."""

CONTEXT = 0.15
"""Least frame of the first stage, as a share of the objects' median diagonal: 71 mm on a head of 476 mm."""

NARROWING = 0.43
"""Least frame of a stage, as a share of the stage's before: 30 mm after 70 mm."""

AZIMUTHS_DEG = (0.0, 120.0)
ELEVATIONS_DEG = (-30.0, 30.0)
"""Views of training, those of the left side: from the front round to well behind the side view."""

CANDIDATES = tuple(View(float(a), float(e)) for a, e in product((0, 20, 40, 60, 75, 90, 105, 118), (-22, 0, 22)))
"""Views that are tried on validation objects, within the range of training."""


@dataclass(frozen=True)
class Frame:
    """Width of a stage's images at the object in mm, and their size in pixels."""

    width_mm: float
    size_px: int = 96


@dataclass(frozen=True, eq=False)
class InitialErrors:
    """Where stages start from: how far off, and how objects are turned.

    residuals_mm: (n, 3) estimate minus truth of the left instance (the right one mirrored) on unseen objects; may be
        empty.
    spread_mm: standard deviation along an axis of what is added to a residual.
    turn_deg: objects are turned by up to this about any axis.
    """

    residuals_mm: NDArray[np.float64]
    spread_mm: float
    turn_deg: float = 20.0

    @classmethod
    def from_residuals(cls, residuals_mm: ArrayLike, turn_deg: float = 20.0) -> "InitialErrors":
        """Return starts drawn from residuals (n, 3), blurred by half their root mean square along an axis."""
        residuals = np.asarray(residuals_mm, dtype=np.float64).reshape(-1, 3)
        if not len(residuals) or not np.isfinite(residuals).all():
            raise UsageError(f"starts: {len(residuals)} residuals; expected finite ones, at least one")
        return cls(residuals, float(np.sqrt((residuals**2).mean()) / 2), turn_deg)

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return `count` offsets (count, 3) in mm of an estimate from the truth."""
        offsets = random.normal(0.0, 1.0, (count, 3)) * self.spread_mm
        if len(self.residuals_mm):
            offsets += self.residuals_mm[random.integers(len(self.residuals_mm), size=count)]
        return offsets


def first_frame(residuals_mm: ArrayLike, diagonals_mm: ArrayLike, size_px: int = 96) -> Frame:
    """Return the frame of a first stage.

    Args:
        residuals_mm: (n, 3) of the first estimate on unseen objects.
        diagonals_mm: (m,) of the bounding boxes of training objects.
        size_px: of the images.
    """
    return Frame(max(_reach_mm(residuals_mm), CONTEXT * float(np.median(np.asarray(diagonals_mm)))), size_px)


def narrower_frame(residuals_mm: ArrayLike, before: Frame) -> Frame:
    """Return the frame of the stage after `before`, which left the residuals (n, 3) on unseen objects.

    It is never wider than the one before.
    """
    width_mm = max(_reach_mm(residuals_mm), NARROWING * before.width_mm)
    return Frame(min(width_mm, before.width_mm), before.size_px)


def starting_within(residuals_mm: ArrayLike, frame: Frame) -> InitialErrors:
    """Return starts from those of the residuals (n, 3) that are finite and at most half a frame long.

    Starting farther off than the image reaches is for no stage to fix. If all do, all are taken; samples are drawn
    no farther off than their image holds.
    """
    residuals = np.asarray(residuals_mm, dtype=np.float64).reshape(-1, 3)
    residuals = residuals[np.isfinite(residuals).all(axis=1)]
    near = np.linalg.norm(residuals, axis=1) <= frame.width_mm / 2
    return InitialErrors.from_residuals(residuals[near] if near.any() else residuals)


def _reach_mm(residuals_mm: ArrayLike) -> float:
    lengths = np.linalg.norm(np.asarray(residuals_mm, dtype=np.float64).reshape(-1, 3), axis=1)
    return REACH * float(min(np.percentile(lengths, 99), HEAVY * np.median(lengths)))
