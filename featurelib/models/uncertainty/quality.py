"""Quality scores of a prediction, which need no labels: numbers that are small for a good prediction.

They have three sources. The mean shape shows whether the object is one of this kind at all. The detector shows whether
any view sees the landmark. Refinement shows how far it moved the point, and how well its rays agree with each other and
with the surface. A score is one number per object, which rejects all its landmarks, or one for each of k landmarks.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.meshes.registration import angle_deg
from featurelib.meshes.template import LocatedLandmarks
from featurelib.models.uncertainty.acceptance import ScoreText

QualityScores = Mapping[str, float | NDArray[np.float64]]
"""Numbers by the names of SCORE_TEXTS."""

SCORE_TEXTS = {
    "shape": ScoreText("the surface differs from the mean shape by"),
    "surroundings": ScoreText("the landmark's surroundings differ from the mean shape's by"),
    "size": ScoreText("the size differs from the mean shape's by", "%"),
    "rotation": ScoreText("the object is rotated against the mean shape by", "degrees"),
    "unseen": ScoreText("the detector's confidence that no view shows the landmark is", ""),
    "disagreement": ScoreText("the prediction and the registered mean shape disagree by"),
    "move": ScoreText("the crops moved the first estimate by"),
    "last_move": ScoreText("the last stage moved the point by"),
    "off_surface": ScoreText("the crops' rays meet off the surface by"),
    "rays": ScoreText("the crops' rays miss each other by"),
    "blur": ScoreText("the crops' heatmaps spread over"),
    "networks": ScoreText("the crops' networks disagree by"),
}


def shape_scores(located: LocatedLandmarks) -> QualityScores:
    """Return how much an object differs from the registered mean shape."""
    whole = located.whole
    return {
        "shape": whole.residual_mm / whole.scale,
        "surroundings": located.near_residual_mm / whole.scale,
        "size": 100 * float(np.expm1(abs(np.log(whole.scale)))),
        "rotation": angle_deg(whole.rotation),
    }


def disagreement_scores(landmarks_mm: ArrayLike, located_mm: ArrayLike) -> QualityScores:
    """Return the distances of predicted landmarks (k, 3) from those of the registered mean shape (k, 3)."""
    return {"disagreement": np.linalg.norm(np.asarray(landmarks_mm) - np.asarray(located_mm), axis=-1)}


def detector_scores(visible: ArrayLike) -> QualityScores:
    """Return 1 minus the largest visibility of each landmark over the views.

    Args:
        visible: (v, k) probabilities that a view shows a landmark; all NaN from a detector head without them, which
            gives no score.
    """
    probabilities = np.asarray(visible, dtype=np.float64)
    return {} if np.isnan(probabilities).all() else {"unseen": 1 - probabilities.max(axis=0)}
