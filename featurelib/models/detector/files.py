"""Files of a detector in RUN/detector/<projection>/.

model.keras, model.tflite and config.json of a trained detector; metrics.csv and logs/ (TensorBoard) of its training;
checkpoint.npz until the training ends.
"""

import json
from typing import Any

from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.geometry.landmark_set import difference
from featurelib.models.detector.checkpoint import Checkpoint, Epoch, epochs_of, metrics_csv
from featurelib.models.inference import ONE_THREAD, Device, Network
from featurelib.runtime import storage


def detector_uri(run: str, projection: str) -> str:
    """Return the folder of a projection's detector."""
    return storage.join(storage.absolute(run), "detector", projection)


def is_trained(run: str, projection: str) -> bool:
    """Return whether a projection's detector is trained; config.json is written last."""
    return storage.exists(storage.join(detector_uri(run, projection), "config.json"))


def read_network(run: str, projection: str, device: Device = ONE_THREAD) -> Network:
    """Return a trained detector's network.

    Raises:
        DataError: if the detector is not trained.
    """
    uri = detector_uri(run, projection)
    if not is_trained(run, projection):
        raise DataError(f"{uri}: no trained detector; run `featurelib train-detector --projection {projection}`")
    return Network.read(storage.join(uri, "model"), device)


def read_landmarks(run: str, projection: str) -> LandmarkSet:
    """Return the landmark set that a trained detector finds.

    Raises:
        DataError: if another version of featurelib trained it.
    """
    uri = storage.join(detector_uri(run, projection), "config.json")
    return LandmarkSet.from_record(json.loads(storage.read_bytes(uri)), name=uri)


def start_of(run: str, projection: str) -> str | None:
    """Return the run whose networks the training of a projection started from; None if it began anew."""
    if not is_trained(run, projection):
        return None
    config: dict[str, Any] = json.loads(storage.read_bytes(storage.join(detector_uri(run, projection), "config.json")))
    return config.get("start_from")


def refuse_other_landmarks(run: str, projection: str, landmarks: LandmarkSet) -> None:
    """Raise DataError if a trained detector finds another landmark set."""
    found = read_landmarks(run, projection)
    if found.hash != landmarks.hash:
        raise DataError(
            f"{detector_uri(run, projection)}: trained on another landmark set, {difference(found, landmarks)}; "
            f"run `featurelib train-detector --projection {projection}`"
        )


def read_checkpoint(uri: str, config: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint in the folder `uri`; None if no training of this config has ended an epoch."""
    checkpoint = storage.join(uri, "checkpoint.npz")
    return Checkpoint.from_bytes(storage.read_bytes(checkpoint), config) if storage.exists(checkpoint) else None


def write_checkpoint(uri: str, checkpoint: Checkpoint, config: dict[str, Any], events: bytes) -> None:
    """Write a checkpoint, metrics.csv and TensorBoard's file, whose content is `events`."""
    storage.write_bytes(storage.join(uri, "checkpoint.npz"), checkpoint.to_bytes(config))
    storage.write_bytes(storage.join(uri, "metrics.csv"), metrics_csv(checkpoint.rows).encode())
    storage.write_bytes(storage.join(uri, "logs", "events.out.tfevents"), events)


def read_epochs(uri: str) -> list[Epoch]:
    """Return the epochs of the training in the folder `uri`."""
    return epochs_of(storage.read_bytes(storage.join(uri, "metrics.csv")).decode())


def best_share(uri: str) -> float:
    """Return after which share of its epochs the detector in the folder `uri` had its smallest validation error."""
    rows = read_epochs(uri)
    best = min(rows, key=lambda row: row.val_error_pct)
    return (best.epoch + 1) / int(json.loads(storage.read_bytes(storage.join(uri, "config.json")))["epochs"])


def is_final(run: str, projection: str) -> bool:
    """Return whether a trained detector has seen every object, as the final models of folds have."""
    return "folds" in json.loads(storage.read_bytes(storage.join(detector_uri(run, projection), "config.json")))


def refuse_final(run: str, projection: str) -> None:
    """Raise DataError if the detector was trained on every object, so that no object can be for validation."""
    uri = detector_uri(run, projection)
    if is_final(run, projection):
        raise DataError(
            f"{uri}: trained on every object; run `featurelib pipeline --folds` again, or `featurelib train-detector` "
            "first"
        )


def delete_checkpoint(uri: str) -> None:
    """Delete the checkpoint of a training that has ended."""
    storage.delete(storage.join(uri, "checkpoint.npz"))


def write_detector(network: Network, uri: str, config: dict[str, Any]) -> None:
    """Write a trained detector into the folder `uri`; config.json, with LandmarkSet.to_record, is written last."""
    network.write(storage.join(uri, "model"))
    storage.write_bytes(storage.join(uri, "config.json"), json.dumps(config, indent=1).encode())
