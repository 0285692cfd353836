"""What goes into a run's predictor and what comes out; needs no network."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.models.uncertainty.model import Uncertainty
from featurelib.models.uncertainty.quality import QualityScores

REFINED = "refined"
"""The crops' name among the methods."""


class Seen(NamedTuple):
    """Where the detector sees left and right in an object's v views: pair_xy (v, 2, 2), and visible (v, 2), 0 to 1."""

    pair_xy: NDArray[np.floating]
    visible: NDArray[np.floating]


class Answer(NamedTuple):
    """What is known of one object's landmarks, left and right, in the object frame.

    pairs_mm: (2, 3) by method: `template`, the lifter's chosen one and, where there is a refiner, `refined`.
    method: the one to take. covariance_mm2: (2, 3, 3) what that method itself makes of its errors. evidence: what
    speaks against its answer. claim: how far off it may be and whether to take it.
    """

    pairs_mm: Mapping[str, NDArray[np.float64]]
    method: str
    covariance_mm2: NDArray[np.float64]
    quality_scores: QualityScores
    uncertainty: Uncertainty

    @property
    def pair_mm(self) -> NDArray[np.float64]:
        """(2, 3) the landmarks."""
        return self.pairs_mm[self.method]
