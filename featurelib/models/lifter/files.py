"""Files of a trained lifter that need no network: its folder, its version, lifter.json and the template."""

import json
from hashlib import sha256
from typing import Any

from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.geometry.landmark_set import difference
from featurelib.meshes.template import Template
from featurelib.runtime import storage


def lifter_uri(run: str, projection: str) -> str:
    """Return the folder of a projection's lifter."""
    return storage.join(storage.absolute(run), "lifter", projection)


def is_trained(run: str, projection: str) -> bool:
    """Return whether a projection has a trained lifter; config.json is written last."""
    return storage.exists(storage.join(lifter_uri(run, projection), "config.json"))


def lifter_version(run: str, projection: str) -> str:
    """Return a hash of a projection's lifter.json.

    Raises:
        DataError: if there is no trained lifter.
    """
    return sha256(_numbers(run, projection)).hexdigest()


def read_numbers(run: str, projection: str) -> dict[str, Any]:
    """Return the content of lifter.json.

    Raises:
        DataError: if there is no trained lifter.
    """
    numbers: dict[str, Any] = json.loads(_numbers(run, projection))
    return numbers


def refuse_other_landmarks(run: str, projection: str, landmarks: LandmarkSet) -> None:
    """Raise DataError if the trained lifter places another landmark set."""
    uri = lifter_uri(run, projection)
    trained = LandmarkSet.from_record(read_numbers(run, projection), name=f"{uri}/lifter.json")
    if trained.hash != landmarks.hash:
        raise DataError(
            f"{uri}: trained on another landmark set, {difference(trained, landmarks)}; "
            f"run `featurelib train-lifter --projection {projection}`"
        )


def read_template(run: str, projection: str) -> Template:
    """Return the registered mean shape of a projection's training objects."""
    uri = storage.join(lifter_uri(run, projection), "template.npz")
    return Template.from_bytes(storage.read_bytes(uri), name=uri)


def _numbers(run: str, projection: str) -> bytes:
    uri = lifter_uri(run, projection)
    if not is_trained(run, projection):
        raise DataError(f"{uri}: no trained lifter; run `featurelib train-lifter --projection {projection}`")
    return storage.read_bytes(storage.join(uri, "lifter.json"))
