"""A trained refiner on disk: stage-<i>.keras, stage-<i>.tflite and refiner.json in RUN/refiner/<projection>."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from featurelib.errors import DataError
from featurelib.geometry import View
from featurelib.models.inference import ONE_THREAD, Device, Network
from featurelib.models.refiner.files import read_numbers, refiner_uri
from featurelib.models.refiner.refiner import Refiner, Stage
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
        "stages": [_numbers(stage) for stage in distinct],
        "order": [distinct.index(stage) for stage in refiner.stages],
        "start": refiner.start,
        "snap": refiner.snap,
        "validation_mm": dict(refiner.validation_mm),
        "uncertainty": refiner.uncertainty and refiner.uncertainty.to_dict(),
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
            tuple(stages[i] for i in numbers["order"]),
            bool(numbers["snap"]),
            str(numbers["start"]),
            {method: float(mean_mm) for method, mean_mm in numbers["validation_mm"].items()},
            UncertaintyModel.from_dict(numbers["uncertainty"]) if numbers["uncertainty"] else None,
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{uri}/refiner.json: not a refiner ({error}); train it again") from None


def _numbers(stage: Stage) -> dict[str, Any]:
    return {
        "frame": asdict(stage.crop_size),
        "views": [asdict(view) for view in stage.views],
        "variances_mm2": stage.variances_mm2.tolist(),
        "sha256": stage.network.version,
    }


def _network_uri(uri: str, number: int) -> str:
    return storage.join(uri, f"stage-{number}")


def _stage(numbers: dict[str, Any], network_uri: str, device: Device) -> Stage:
    network = Network.read(network_uri, device)
    if network.version != numbers["sha256"]:
        raise DataError(f"{network_uri}.keras: not the network of refiner.json; train the refiner again")
    views = tuple(View(**view) for view in numbers["views"])
    return Stage(CropSize(**numbers["frame"]), views, np.array(numbers["variances_mm2"]), network)
