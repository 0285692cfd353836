"""JSON: `{"left": [x, y, z], "right": [x, y, z]}` for one mesh, or `{"<object_id>": {...}, ...}` for all."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from featurelib.datasets.landmark_files.landmarks import PointFile, named_points
from featurelib.datasets.landmark_files.slicer import read_markups
from featurelib.errors import DataError

EXPECTED = 'expected {"<object_id>": {"left": [x, y, z], "right": [x, y, z]}, ...}, or one such pair'


def read_json(content: bytes) -> PointFile:
    """Return the points by object. Slicer's markups are recognised.

    Raises:
        DataError: if the file is not JSON, names a key twice or has another form.
    """
    try:
        values = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({error}); export it again") from None
    if not isinstance(values, dict):
        raise DataError(f"{str(values)[:60]}; {EXPECTED}")
    if "markups" in values:
        return PointFile(((None, read_markups(values)),))
    if values and all(isinstance(value, dict | None) for value in values.values()):
        return PointFile(
            tuple((object_id, named_points((points or {}).items())) for object_id, points in values.items())
        )
    if not any(isinstance(value, list) for value in values.values()):
        raise DataError(f"{str(values)[:60]}; {EXPECTED}")
    return PointFile(((None, named_points(values.items())),))


def to_json(objects: Mapping[str, Mapping[str, Sequence[float] | str | None]]) -> bytes:
    """Return the file of points by object and name, with all their digits; null, or a word, has no position."""
    return json.dumps(objects, indent=1).encode()


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a mapping; the json module would keep the last of equal keys."""
    values = dict(items)
    if len(values) < len(items):
        keys = [key for key, _ in items]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} twice")
    return values
