"""The settings of a stage, derived from data: the width of its crops, its views and its initial errors.

No constant is a length, so objects may have any size. A crop is wide enough for the errors of the estimates that it is
centred on, and for the surroundings that identify the landmark.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import UsageError

NUM_STAGES = 2
"""Number of trained stages; the second may be applied twice."""


STRIDE = 2
"""Pixels of a crop per cell of a map."""


def num_networks(num_channels: int) -> int:
    """Return the number of networks per stage, which are branches of one graph.

    A single channel has two, whose disagreement is a quality score; several channels check each other.
    """
    return 2 if num_channels == 1 else 1


WIDTH_PER_ERROR = 4.0
"""Width of a crop in units of the 99th percentile of the initial errors: 99 % are at most a quarter of the width."""

MAX_TAIL = 5.0
"""Upper bound of the 99th percentile, in units of the median. The ratio is 2.2 for normal errors and was 3 for the
registered mean shape. On few objects, a single failure would determine the percentile."""

CONTEXT = 0.15
"""Minimum width of the first stage's crops, as a share of the objects' median diagonal: 71 mm for heads of 476 mm."""

NARROWING = 0.43
"""Minimum width of a later stage's crops, as a share of the previous stage's: 30 mm after 70 mm."""


@dataclass(frozen=True)
class CropSize:
    """Width of a stage's crops at the object in mm, and their size in pixels."""

    width_mm: float
    size_px: int = 96


@dataclass(frozen=True, eq=False)
class InitialErrors:
    """Distribution of the errors of the estimates that a stage refines, and of the objects' rotations.

    residuals_mm: (n, 3) estimate minus truth of the left instance (the right one mirrored) on validation objects; may
        be empty.
    spread_mm: standard deviation along each axis of the noise that is added to a residual.
    turn_deg: maximum angle by which objects are rotated, about any axis.
    """

    residuals_mm: NDArray[np.float64]
    spread_mm: float
    turn_deg: float = 20.0

    @classmethod
    def from_residuals(cls, residuals_mm: ArrayLike, turn_deg: float = 20.0) -> "InitialErrors":
        """Return the distribution of residuals (n, 3), with noise of half their root mean square along an axis.

        Raises:
            UsageError: if there are no residuals, or some are not finite.
        """
        residuals = np.asarray(residuals_mm, dtype=np.float64).reshape(-1, 3)
        if not len(residuals) or not np.isfinite(residuals).all():
            raise UsageError(f"initial errors: {len(residuals)} residuals; expected at least one, all finite")
        return cls(residuals, float(np.sqrt((residuals**2).mean()) / 2), turn_deg)

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return offsets (count, 3) in mm of an estimate from the truth."""
        offsets = random.normal(0.0, 1.0, (count, 3)) * self.spread_mm
        if len(self.residuals_mm):
            offsets += self.residuals_mm[random.integers(len(self.residuals_mm), size=count)]
        return offsets


def first_crop_size(residuals_mm: ArrayLike, diagonals_mm: ArrayLike, size_px: int = 96) -> CropSize:
    """Return the crop size of the first stage.

    Args:
        residuals_mm: (n, 3) errors of the first estimates on validation objects.
        diagonals_mm: (m,) of the bounding boxes of training objects.
        size_px: of the crops.
    """
    return CropSize(max(_width_mm(residuals_mm), CONTEXT * float(np.median(np.asarray(diagonals_mm)))), size_px)


def narrower_crop_size(residuals_mm: ArrayLike, before: CropSize) -> CropSize:
    """Return the crop size of the stage that follows `before`; it is at most as wide.

    Args:
        residuals_mm: (n, 3) errors after the stage `before` on validation objects.
        before: crop size of that stage.
    """
    width_mm = max(_width_mm(residuals_mm), NARROWING * before.width_mm)
    return CropSize(min(width_mm, before.width_mm), before.size_px)


def initial_errors_within(residuals_mm: ArrayLike, crop_size: CropSize) -> InitialErrors:
    """Return the distribution of the residuals (n, 3) that are finite and at most half a crop width long.

    A stage cannot correct longer ones, since the landmark is then outside its crops. If all are longer, all are used;
    samples are drawn with the landmark inside the crop.
    """
    residuals = np.asarray(residuals_mm, dtype=np.float64).reshape(-1, 3)
    residuals = residuals[np.isfinite(residuals).all(axis=1)]
    near = np.linalg.norm(residuals, axis=1) <= crop_size.width_mm / 2
    return InitialErrors.from_residuals(residuals[near] if near.any() else residuals)


def _width_mm(residuals_mm: ArrayLike) -> float:
    lengths = np.linalg.norm(np.asarray(residuals_mm, dtype=np.float64).reshape(-1, 3), axis=1)
    return WIDTH_PER_ERROR * float(min(np.percentile(lengths, 99), MAX_TAIL * np.median(lengths)))
