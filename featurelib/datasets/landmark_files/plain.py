"""JSON: `{"left": [x, y, z], "right": [x, y, z]}` for one mesh, or `{"<object_id>": {...}, ...}` for all."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from featurelib.datasets.landmark_files.landmarks import NamedPoints, Xyz
from featurelib.datasets.landmark_files.slicer import read_markups
from featurelib.errors import DataError

EXPECTED = 'expected {"<object_id>": {"left": [x, y, z], "right": [x, y, z]}, ...}, or one such pair'


def read_json(content: bytes) -> dict[str | None, NamedPoints]:
    """Return the points by object; the key is None for one object without a name. Slicer's markups are recognised.

    Raises:
        DataError: if the file is not JSON or has another form.
    """
    try:
        values = json.loads(content)
    except ValueError as error:
        raise DataError(f"not JSON ({error})") from None
    if not isinstance(values, dict):
        raise DataError(f"{str(values)[:60]}; {EXPECTED}")
    if "markups" in values:
        return {None: read_markups(values)}
    if all(isinstance(value, dict) for value in values.values()):
        return {object_id: _points(points) for object_id, points in values.items()}
    return {None: _points(values)}


def to_json(pairs: Mapping[str, Sequence[tuple[str, Xyz]]]) -> bytes:
    """Return the file of labelled points by object, with all their digits."""
    return json.dumps(
        {i: {label: list(xyz) for label, xyz in points} for i, points in pairs.items()}, indent=1
    ).encode()


def _points(values: Mapping[str, Any]) -> NamedPoints:
    try:
        return NamedPoints(tuple((label, _position(xyz)) for label, xyz in values.items()))
    except (TypeError, ValueError):
        raise DataError(f"{str(values)[:60]}; {EXPECTED}") from None


def _position(values: Sequence[Any]) -> Xyz:
    x, y, z = (float(value) for value in values)
    return x, y, z
