"""What a detector finds in images: the positions in the outputs of its network, with covariance and visibility."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from featurelib.geometry import LandmarkSet
from featurelib.models.inference import Outputs
from featurelib.models.soft_argmax import map_moments, spread_of


class LandmarkDetection(NamedTuple):
    """Detections of k landmarks in n images.

    xy: (n, k, 2). covariance: (n, k, 2, 2) of xy, in squared fractions of the width. visible: (n, k) probability, 0 to
    1, that the landmark is not occluded. A head that finds only the near landmark of a pair returns one position for
    both, and NaN for covariance and visible.
    """

    xy: NDArray[np.float32]
    covariance: NDArray[np.float32]
    visible: NDArray[np.float32]

    @property
    def spread(self) -> NDArray[np.float32]:
        """(n, k) standard deviation of the maps along one axis, as a share of the width."""
        return spread_of(self.covariance)


def no_detection(landmarks: LandmarkSet) -> LandmarkDetection:
    """Return the detections in no images."""
    return LandmarkDetection(*(np.empty((0, len(landmarks.names), *shape), np.float32) for shape in ((2,), (2, 2), ())))


def read_detection(outputs: Outputs, landmarks: LandmarkSet) -> LandmarkDetection:
    """Return the detections of a set in the outputs of either head (`featurelib.models.detector.heads`).

    The covariance mostly follows from the Gaussian in the loss of the heatmap head; it hardly predicts the error.
    """
    if "maps" not in outputs:
        near = outputs["output"]
        xy = near.reshape(len(near), -1, 2)[:, landmarks.slot_of]
        return LandmarkDetection(xy, np.full((*xy.shape, 2), np.nan, np.float32), np.full_like(xy[..., 0], np.nan))
    moments = map_moments(np.moveaxis(outputs["maps"], -1, 1))
    return LandmarkDetection(*(part.astype(np.float32) for part in (*moments, expit(outputs["visible"]))))
