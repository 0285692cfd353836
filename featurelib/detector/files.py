"""Where a trained detector lies: RUN/detector/<projection>/ with model.keras, metrics.csv and config.json."""

from hashlib import sha256

from featurelib import storage
from featurelib.errors import DataError


def detector_uri(run: str, projection: str) -> str:
    """Return the folder of a projection's detector."""
    return storage.join(storage.absolute(run), "detector", projection)


def read_model(run: str, projection: str) -> bytes:
    """Return the content of a trained detector's model.keras.

    Raises:
        DataError: if the detector has not been trained to its end.
    """
    uri = detector_uri(run, projection)
    if not storage.exists(storage.join(uri, "config.json")):
        raise DataError(f"{uri}: no trained detector; run `featurelib train-detector --projection {projection}`")
    return storage.read_bytes(storage.join(uri, "model.keras"))


def model_version(content: bytes) -> str:
    """Return what names a model: the SHA-256 of its file."""
    return sha256(content).hexdigest()
