"""The result of a refinement, and its quality scores. Needs no TensorFlow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.models.uncertainty.quality import QualityScores


class Refined(NamedTuple):
    """The k refined landmarks, in the object frame; NaN for one that could not be refined.

    landmarks_mm: (k, 3). covariance_mm2: (k, 3, 3) of the fused rays; to be calibrated, since the rays share errors.
    snap_mm: (k,) distance between the fused point and its point on the surface; the refiner moves it there if it snaps.
    moves_mm: (k, stages) distance that each stage moved the point.
    map_spread_mm: (k,) mean standard deviation of the last stage's maps.
    ray_rms_mm: (k,) root mean square distance of the last stage's rays from the point.
    network_spread_mm: (k,) root mean square distance of the points of the last stage's m single networks from their
        mean; NaN for one network.
    unsnapped_mm: (k, 3) the fused points, before the snap.
    present: (k,) probability that the landmark exists; 1 if the networks do not tell.
    presence_logits: (k,) mean logits of it over the last stage's crops; NaN if the networks do not tell.
    """

    landmarks_mm: NDArray[np.float64]
    covariance_mm2: NDArray[np.float64]
    snap_mm: NDArray[np.float64]
    moves_mm: NDArray[np.float64]
    map_spread_mm: NDArray[np.float64]
    ray_rms_mm: NDArray[np.float64]
    network_spread_mm: NDArray[np.float64]
    unsnapped_mm: NDArray[np.float64]
    present: NDArray[np.float64]
    presence_logits: NDArray[np.float64]


def refinement_scores(refined: Refined, start_mm: ArrayLike) -> QualityScores:
    """Return the quality scores of a refinement of a first estimate (k, 3)."""
    scores = {
        "move": np.linalg.norm(refined.unsnapped_mm - np.asarray(start_mm), axis=-1),
        "last_move": refined.moves_mm[:, -1],
        "off_surface": refined.snap_mm,
        "rays": refined.ray_rms_mm,
        "blur": refined.map_spread_mm,
        "networks": refined.network_spread_mm,
    }
    return {name: numbers for name, numbers in scores.items() if not np.isnan(numbers).all()}
