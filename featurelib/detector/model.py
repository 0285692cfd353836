"""A trained detector on disk: `model.keras`, `config.json` and `metrics.csv` in RUN/detector/<projection>."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from featurelib import storage
from featurelib.detector.files import model_version, read_model
from featurelib.detector.samples import as_rgb, decode_pictures


@dataclass(frozen=True, eq=False)
class Detector:
    """A trained network.

    model: the Keras model. version: SHA-256 of its file. input_size: of its pictures, in pixels.
    """

    model: keras.Model
    version: str
    input_size: int

    @classmethod
    def load(cls, run: str, projection: str) -> Self:
        """Return the detector of a run.

        Raises:
            DataError: if it has not been trained.
        """
        content = read_model(run, projection)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            path.write_bytes(content)
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        return cls(model, model_version(content), model.input_shape[1])

    def __call__(self, pngs: Sequence[bytes]) -> NDArray[np.float32]:
        """Return the near positions xy (n, 2) in n PNGs, in one forward pass."""
        pictures = as_rgb(decode_pictures(pngs, self.input_size)).astype(np.float32)
        return np.asarray(self.model(pictures, training=False))


def save_detector(model: keras.Model, uri: str, config: dict[str, Any], metrics_csv: str) -> None:
    """Write a trained detector into the folder `uri`; config.json, which says that it is whole, is written last."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        storage.copy_from_local(path, storage.join(uri, "model.keras"))
    storage.write_bytes(storage.join(uri, "metrics.csv"), metrics_csv.encode())
    storage.write_bytes(storage.join(uri, "config.json"), json.dumps(config, indent=1).encode())
