"""Files of a trained refiner that need no network: its folder, its version and refiner.json."""

import json
import logging
from hashlib import sha256
from typing import Any

from featurelib.errors import DataError
from featurelib.models.lifter.files import lifter_version
from featurelib.runtime import storage

logger = logging.getLogger(__name__)


def refiner_uri(run: str, projection: str) -> str:
    """Return the folder of a projection's refiner."""
    return storage.join(storage.absolute(run), "refiner", projection)


def current_version(run: str, projection: str) -> str | None:
    """Return the version of a projection's refiner; None without a refiner, or if it was trained for another lifter.

    Raises:
        DataError: if there is no trained lifter.
    """
    uri = refiner_uri(run, projection)
    config_uri = storage.join(uri, "config.json")
    if not storage.exists(config_uri):
        return None
    if json.loads(storage.read_bytes(config_uri)).get("lifter") != lifter_version(run, projection):
        logger.warning(
            "%s: trained for another lifter and ignored; run `featurelib train-refiner --projection %s`",
            uri,
            projection,
        )
        return None
    return refiner_version(uri)


def refiner_version(uri: str) -> str:
    """Return a hash of refiner.json, which holds the hashes of the networks."""
    return sha256(_content(uri)).hexdigest()


def read_numbers(uri: str) -> dict[str, Any]:
    """Return the content of refiner.json.

    Raises:
        DataError: if the file is missing or not JSON.
    """
    try:
        numbers: dict[str, Any] = json.loads(_content(uri))
    except ValueError as error:
        raise DataError(f"{uri}/refiner.json: not a refiner ({error}); train it again") from None
    return numbers


def _content(uri: str) -> bytes:
    path = storage.join(uri, "refiner.json")
    if not storage.exists(path):
        raise DataError(f"{uri}: no trained refiner; run `featurelib train-refiner`")
    return storage.read_bytes(path)
