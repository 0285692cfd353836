"""A trained detector: model.keras and config.json in RUN/detector/<projection>/."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from featurelib.models.detector.files import model_version, read_model
from featurelib.models.detector.heads import HEADS, Head, LandmarkDetection
from featurelib.models.detector.samples import decode_images
from featurelib.models.inference import frozen_graph, run_in_chunks
from featurelib.models.keras_files import load_network, save_network
from featurelib.runtime import storage


@dataclass(frozen=True, eq=False)
class Detector:
    """A trained network; its weights are fixed at the first call.

    model: the Keras model. version: SHA-256 of its file. input_size: width and height of its images, in pixels.
    """

    model: keras.Model
    version: str
    input_size: int

    @classmethod
    def load(cls, run: str, projection: str) -> Self:
        """Return the detector of a run.

        Raises:
            DataError: if the detector is not trained.
        """
        content = read_model(run, projection)
        model = load_network(content)
        return cls(model, model_version(content), model.input_shape[1])

    @property
    def head(self) -> Head:
        """The head that interprets the network's outputs."""
        return HEADS["heatmap" if isinstance(self.model.output, dict) else "regression"]

    def __call__(self, pngs: Sequence[bytes]) -> LandmarkDetection:
        """Return the detections in n PNGs."""
        return self.find(decode_images(pngs, self.input_size))

    def find(self, images: NDArray[np.uint8]) -> LandmarkDetection:
        """Return the detections in images (n, s, s, c) with 1 or 3 channels."""
        if not len(images):  # the folded convolutions reject an empty batch
            return LandmarkDetection(*(np.empty((0, 2, *shape), np.float32) for shape in ((2,), (2, 2), ())))
        return LandmarkDetection(*run_in_chunks(self._graph, images))

    @cached_property
    def _graph(self) -> Callable[[NDArray[np.uint8]], LandmarkDetection]:
        """The network as a frozen graph for batches of any size."""
        return frozen_graph(self.model, None, self.head.read)


def save_detector(model: keras.Model, uri: str, config: dict[str, Any]) -> None:
    """Write a trained detector into the folder `uri`; config.json is written last."""
    save_network(model, storage.join(uri, "model.keras"))
    storage.write_bytes(storage.join(uri, "config.json"), json.dumps(config, indent=1).encode())
