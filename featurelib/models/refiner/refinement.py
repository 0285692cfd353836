"""The result of a refinement, and its quality scores. Needs no TensorFlow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.models.uncertainty.quality import QualityScores


class Refined(NamedTuple):
    """Refined landmarks, left and right, in the object frame.

    landmarks_mm: (2, 3). covariance_mm2: (2, 3, 3) of the fused rays; to be calibrated, since the rays share errors.
    snap_mm: (2,) distance between the fused point and its point on the surface; the refiner moves it there if it snaps.
    moves_mm: (2, stages) distance that each stage moved the point.
    map_spread_mm: (2, v m) standard deviation of the last stage's maps.
    ray_rms_mm: (2,) root mean square distance of the last stage's rays from the point.
    network_spread_mm: (2,) root mean square distance of the points of the last stage's m single networks from their
        mean; NaN for one network.
    unsnapped_mm: (2, 3) the fused points, before the snap.
    """

    landmarks_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64]
    snap_mm: NDArray[np.float64]
    moves_mm: NDArray[np.float64]
    map_spread_mm: NDArray[np.float64]
    ray_rms_mm: NDArray[np.float64]
    network_spread_mm: NDArray[np.float64]
    unsnapped_mm: NDArray[np.float64]


def refinement_scores(refined: Refined, start_mm: ArrayLike) -> QualityScores:
    """Return the quality scores of a refinement of a first estimate (2, 3)."""
    scores = {
        "move": np.linalg.norm(refined.unsnapped_mm - np.asarray(start_mm), axis=-1),
        "last_move": refined.moves_mm[:, -1],
        "off_surface": refined.snap_mm,
        "rays": refined.ray_rms_mm,
        "blur": refined.map_spread_mm.mean(axis=1),
        "networks": refined.network_spread_mm,
    }
    return {name: numbers for name, numbers in scores.items() if not np.isnan(numbers).all()}
