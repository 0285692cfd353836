"""The file `dataset.json`: the unit of a dataset's files, the landmark's name and the alignment."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, Alignment
from featurelib.runtime import storage


class Settings(NamedTuple):
    """The checked content of the file."""

    unit: str
    landmark: str
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
    unit, landmark, alignment = (settings.get(name) for name in ("unit", "landmark", "alignment"))
    if unit not in tuple(MM_PER_UNIT):
        raise DataError(f"{uri}: unit {unit!r}; expected one of {', '.join(MM_PER_UNIT)}")
    if not (landmark and isinstance(landmark, str)):
        raise DataError(f'{uri}: landmark {landmark!r}; expected its name, as in "landmark": "tragus"')
    if not isinstance(alignment, dict | None):
        raise DataError(
            f'{uri}: alignment {alignment!r}; expected {{"rotations_wxyz": [[w, x, y, z], ...], "scale": s}}'
        )
    return Settings(unit, landmark, Alignment.from_dict(alignment or {}, name=f"{uri}: alignment"))


def settings_json(values: Mapping[str, Any]) -> bytes:
    """Return the file of some settings."""
    return f"{json.dumps(values, indent=2)}\n".encode()
