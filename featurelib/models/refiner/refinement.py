"""What refining an estimate gives, and its quality scores. Needs no TensorFlow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.models.uncertainty.quality import QualityScores


class Refined(NamedTuple):
    """What the stages found of the left and the right instance, in the object's frame.

    pair_mm: (2, 3). covariance_mm2: (2, 3, 3) as the rays have it, which share errors: to be scaled.
    snap_mm: (2,) distance of the fused point from the surface, along which it was moved if the refiner snaps.
    moves_mm: (2, stages) how far each stage moved the point.
    map_spread_mm: (2, v m) standard deviation of the last stage's maps. ray_rms_mm: (2,) of its rays from the point.
    network_spread_mm: (2,) root mean square distance from their mean of the points that the last stage's m networks
        would have found alone; NaN of one.
    unsnapped_mm: (2, 3) the fused points.
    """

    pair_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64]
    snap_mm: NDArray[np.float64]
    moves_mm: NDArray[np.float64]
    map_spread_mm: NDArray[np.float64]
    ray_rms_mm: NDArray[np.float64]
    network_spread_mm: NDArray[np.float64]
    unsnapped_mm: NDArray[np.float64]


def refinement_scores(refined: Refined, start_mm: ArrayLike) -> QualityScores:
    """Return what crops say that began at a first estimate (2, 3)."""
    found = {
        "move": np.linalg.norm(refined.unsnapped_mm - np.asarray(start_mm), axis=-1),
        "last_move": refined.moves_mm[:, -1],
        "off_surface": refined.snap_mm,
        "rays": refined.ray_rms_mm,
        "blur": refined.map_spread_mm.mean(axis=1),
        "networks": refined.network_spread_mm,
    }
    return {name: numbers for name, numbers in found.items() if not np.isnan(numbers).all()}
