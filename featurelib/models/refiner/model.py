"""A trained refiner on disk: stage-<i>.keras, stage-<i>.tflite and refiner.json in RUN/refiner/<projection>."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, View
from featurelib.models.inference import ONE_THREAD, Device, Network
from featurelib.models.refiner.files import read_numbers, refiner_uri
from featurelib.models.refiner.presence import Presence
from featurelib.models.refiner.readings import Stage
from featurelib.models.refiner.refiner import Refiner
from featurelib.models.refiner.repair import MeanShape
from featurelib.models.refiner.shots import Shot
from featurelib.models.refiner.stages import CropSize
from featurelib.models.uncertainty.model import UncertaintyModel
from featurelib.runtime import storage

__all__ = ["load_refiner", "refiner_uri", "save_refiner"]


def save_refiner(refiner: Refiner, uri: str) -> None:
    """Write a refiner into the folder `uri`; refiner.json is written last.

    A stage that is applied twice is written once.
    """
    distinct = refiner.distinct_stages
    for number, stage in enumerate(distinct):
        stage.network.write(_network_uri(uri, number))
    numbers = {
        "landmarks": refiner.landmarks.to_dict(),
        "mirror": refiner.landmarks.mirror,
        "landmarks_hash": refiner.landmarks.hash,
        "mean_shape": {name: _finite(part) for name, part in refiner.mean_shape._asdict().items()},
        "stages": [_numbers(stage) for stage in distinct],
        "order": [distinct.index(stage) for stage in refiner.stages],
        "start": refiner.start,
        "snap": refiner.snap,
        "validation_mm": dict(refiner.validation_mm),
        "uncertainty": refiner.uncertainty and refiner.uncertainty.to_dict(),
        "presence": refiner.presence and refiner.presence._asdict(),
    }
    storage.write_bytes(storage.join(uri, "refiner.json"), json.dumps(numbers, indent=1).encode())


def load_refiner(uri: str, device: Device = ONE_THREAD) -> Refiner:
    """Return the refiner that `save_refiner` wrote, to be run by a device.

    Raises:
        DataError: if there is no refiner, or its files do not belong together.
    """
    numbers = read_numbers(uri)
    try:
        stages = [
            _stage(of_stage, _network_uri(uri, number), device) for number, of_stage in enumerate(numbers["stages"])
        ]
        return Refiner(
            LandmarkSet.from_dict(numbers["landmarks"], numbers["mirror"], name=f"{uri}/refiner.json: landmarks"),
            tuple(stages[i] for i in numbers["order"]),
            MeanShape(**{name: np.array(part, np.float64) for name, part in numbers["mean_shape"].items()}),
            bool(numbers["snap"]),
            str(numbers["start"]),
            {method: float(mean_mm) for method, mean_mm in numbers["validation_mm"].items()},
            UncertaintyModel.from_dict(numbers["uncertainty"]) if numbers["uncertainty"] else None,
            Presence.from_dict(numbers["presence"]) if numbers["presence"] else None,
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{uri}/refiner.json: not a refiner ({error}); train it again") from None


def _numbers(stage: Stage) -> dict[str, Any]:
    return {
        "frame": asdict(stage.crop_size),
        "shots": [{"aim": list(shot.aim), **asdict(shot.view)} for shot in stage.shots],
        "variances_mm2": _finite(stage.variances_mm2),
        "prior_mm": None if stage.prior_mm is None else stage.prior_mm.tolist(),
        "sha256": stage.network.version,
    }


def _finite(values: NDArray[np.float64]) -> list[Any]:
    """Return an array as nested lists, with null for numbers that are not finite, which JSON does not have."""
    nested: list[Any] = np.where(np.isfinite(values), values.astype(object), np.array(None)).tolist()
    return nested


def _network_uri(uri: str, number: int) -> str:
    return storage.join(uri, f"stage-{number}")


def _stage(numbers: dict[str, Any], network_uri: str, device: Device) -> Stage:
    network = Network.read(network_uri, device)
    if network.version != numbers["sha256"]:
        raise DataError(f"{network_uri}.keras: not the network of refiner.json; train the refiner again")
    shots = tuple(Shot(tuple(shot.pop("aim")), View(**shot)) for shot in numbers["shots"])
    variances = np.array(numbers["variances_mm2"], np.float64)
    prior_mm = None if numbers["prior_mm"] is None else np.array(numbers["prior_mm"])
    return Stage(
        CropSize(**numbers["frame"]), shots, np.where(np.isnan(variances), np.inf, variances), network, prior_mm
    )
