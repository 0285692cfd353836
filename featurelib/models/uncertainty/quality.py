"""What speaks against an answer and needs no labels: numbers that are small where all is well.

Three witnesses are heard. The mean shape says whether this is such an object at all. The detector says whether any
view shows the landmark. The crops say how far they moved the point, and how well their rays agree with each other
and with the surface. Each number is one an object or (2,) of left and right.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.meshes.registration import angle_deg
from featurelib.meshes.template import LocatedPair
from featurelib.models.uncertainty.acceptance import ScoreText

QualityScores = Mapping[str, float | NDArray[np.float64]]
"""Numbers by the names of SCORE_TEXTS."""

SCORE_TEXTS = {
    "shape": ScoreText("the surface differs from the mean shape by"),
    "surroundings": ScoreText("the landmark's surroundings differ from the mean shape's by"),
    "size": ScoreText("the size differs from the mean shape's by", "%"),
    "rotation": ScoreText("the object is rotated against the mean shape by", "degrees"),
    "unseen": ScoreText("the detector's doubt that it sees the landmark is", ""),
    "disagreement": ScoreText("the answer and the registered mean shape disagree by"),
    "move": ScoreText("the crops moved the first estimate by"),
    "last_move": ScoreText("the last stage moved the point by"),
    "off_surface": ScoreText("the crops' rays meet off the surface by"),
    "rays": ScoreText("the crops' rays miss each other by"),
    "blur": ScoreText("the crops' maps spread over"),
    "networks": ScoreText("the crops' networks disagree by"),
}


def shape_scores(located: LocatedPair) -> QualityScores:
    """Return what the registered mean shape says of an object."""
    whole = located.whole
    return {
        "shape": whole.residual_mm / whole.scale,
        "surroundings": located.near_residual_mm / whole.scale,
        "size": 100 * float(np.expm1(abs(np.log(whole.scale)))),
        "rotation": angle_deg(whole.rotation),
    }


def disagreement_scores(pair_mm: ArrayLike, located_mm: ArrayLike) -> QualityScores:
    """Return how far an answer (2, 3) is from where the registered mean shape has the landmarks (2, 3)."""
    return {"disagreement": np.linalg.norm(np.asarray(pair_mm) - np.asarray(located_mm), axis=-1)}


def detector_scores(visible: ArrayLike) -> QualityScores:
    """Return what the detector says that sees each instance with these chances (v, 2) in its views.

    Nothing from a head that does not say (NaN).
    """
    chances = np.asarray(visible, dtype=np.float64)
    return {} if np.isnan(chances).all() else {"unseen": 1 - chances.max(axis=0)}
