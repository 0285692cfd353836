"""The file `dataset.json`: the unit of a dataset's files, the landmark set and the alignment."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, Alignment, LandmarkSet
from featurelib.runtime import storage


class Settings(NamedTuple):
    """The checked content of the file."""

    unit: str
    landmarks: LandmarkSet
    alignment: Alignment


def read_settings(uri: str) -> Settings:
    """Return the settings of a dataset.

    Raises:
        DataError: with the file, the value and what was expected.
    """
    content = storage.read_bytes(uri)
    try:
        settings = json.loads(content)
    except ValueError as error:
        raise DataError(f"{uri}: not JSON ({error})") from None
    if not isinstance(settings, dict):
        raise DataError(f'{uri}: {settings!r}; expected an object, as in {{"unit": "mm", "landmark": "tragus"}}')
    unit, alignment = settings.get("unit"), settings.get("alignment")
    if unit not in tuple(MM_PER_UNIT):
        raise DataError(f"{uri}: unit {unit!r}; expected one of {', '.join(MM_PER_UNIT)}")
    landmarks = _landmarks(settings, uri)
    if not isinstance(alignment, dict | None):
        raise DataError(
            f'{uri}: alignment {alignment!r}; expected {{"rotations_wxyz": [[w, x, y, z], ...], "scale": s}}'
        )
    return Settings(unit, landmarks, Alignment.from_dict(alignment or {}, name=f"{uri}: alignment"))


def settings_json(values: Mapping[str, Any]) -> bytes:
    """Return the file of some settings."""
    return f"{json.dumps(values, indent=2)}\n".encode()


def set_values(landmarks: LandmarkSet) -> dict[str, Any]:
    """Return the settings that hold the landmark set."""
    return {"landmarks": landmarks.to_dict(), "mirror": landmarks.mirror}


def _landmarks(settings: Mapping[str, Any], uri: str) -> LandmarkSet:
    """Return the set, from `landmarks` or from the name of a single pair in `landmark`."""
    if "landmarks" in settings:
        if "landmark" in settings:
            raise DataError(f"{uri}: both landmark and landmarks; keep one of them")
        return LandmarkSet.from_dict(settings["landmarks"], settings.get("mirror"), name=f"{uri}: landmarks")
    landmark = settings.get("landmark")
    if not (landmark and isinstance(landmark, str)):
        example = '"landmark": "tragus" for one pair, or "landmarks": {"pairs": [[left, right], ...], "midline": [...]}'
        raise DataError(f"{uri}: landmark {landmark!r}; expected its name, as in {example}")
    pair = LandmarkSet.single_pair(landmark).to_dict()
    return LandmarkSet.from_dict(pair, settings.get("mirror"), name=f"{uri}: landmark")
