"""A trained detector: model.keras, model.tflite and config.json in RUN/detector/<projection>/."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet
from featurelib.models.detector.detection import LandmarkDetection, no_detection, read_detection
from featurelib.models.detector.files import read_landmarks, read_network
from featurelib.models.detector.samples import decode_images
from featurelib.models.inference import ONE_THREAD, Device, Network


@dataclass(frozen=True, eq=False)
class Detector:
    """A trained detector, as the network of its head, and the landmark set that it finds."""

    network: Network
    landmarks: LandmarkSet

    @classmethod
    def load(cls, run: str, projection: str, device: Device = ONE_THREAD) -> Self:
        """Return the detector of a run, to be run by a device.

        Raises:
            DataError: if the detector is not trained.
        """
        return cls(read_network(run, projection, device), read_landmarks(run, projection))

    @property
    def version(self) -> str:
        """The network's version."""
        return self.network.version

    @property
    def input_size(self) -> int:
        """Width and height of the network's images, in pixels."""
        return self.network.input_shape[0]

    def __call__(self, pngs: Sequence[bytes]) -> LandmarkDetection:
        """Return the detections in n PNGs."""
        return self.find(decode_images(pngs, self.input_size))

    def find(self, images: NDArray[np.uint8]) -> LandmarkDetection:
        """Return the detections in images (n, s, s, c) with 1 or 3 channels."""
        return read_detection(self.network(images), self.landmarks) if len(images) else no_detection(self.landmarks)
