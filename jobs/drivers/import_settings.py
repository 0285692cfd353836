"""What flags and an existing dataset tell an import: the settings of dataset.json, and how files are read."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from featurelib.datasets.import_set import read_set
from featurelib.datasets.landmark_files.selection import Reading
from featurelib.datasets.landmark_files.tables import Columns
from featurelib.errors import DataError, UsageError
from featurelib.geometry import Alignment, LandmarkSet
from featurelib.geometry.named_axes import named_rotation
from featurelib.runtime import storage
from jobs.import_dataset import ImportConfig, PairsFrom


def import_settings(config: ImportConfig, uri: str) -> dict[str, Any]:
    """Return the new content of a dataset.json; without `landmark` and `landmarks` if the files tell the set.

    Raises:
        DataError: if an existing file is bad.
        UsageError: if flags are missing, or differ from an existing file.
    """
    given = {name: value for name in ("unit", "landmark") if (value := getattr(config, name))}
    rotation = named_rotation(config.front, config.up)
    aligned = {"alignment": Alignment((rotation,)).to_dict()} if rotation else {}
    if not storage.exists(uri):
        required = {"unit"} if config.landmarks or config.pairs else {"unit", "landmark"}
        if missing := required - set(given):
            flags = " and ".join(f"--{name}" for name in sorted(missing))
            example = "--unit mm --landmark tragus; for a set, --pairs SET.json"
            raise UsageError(f"{uri}: no such file; give {flags}, as in {example}")
        known = {}
    else:
        known = _existing(uri, given)
    settings = {**known, **given, **aligned}
    _refuse_flags_of_pairs(config, settings)
    return settings


def _existing(uri: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of dataset.json; a flag that says otherwise is refused."""
    try:
        known = dict(json.loads(storage.read_bytes(uri)))
    except (ValueError, TypeError) as error:
        raise DataError(f"{uri}: not a JSON object ({error}); fix or remove it") from None
    there = {**known, "landmark": "a set of landmarks"} if "landmarks" in known else known
    for name, value in given.items():
        if there.get(name, value) != value:
            raise UsageError(f"--{name} {value}: {uri} has {there[name]}; omit the flag, or choose another --out")
    return known


def _refuse_flags_of_pairs(config: ImportConfig, settings: Mapping[str, Any]) -> None:
    """Raise UsageError for flags that do not fit a single pair, or that fit only it."""
    if "landmark" in settings and config.pairs:
        raise UsageError(f"--pairs: --landmark {settings['landmark']} is one pair; omit one of these flags")
    if "landmark" not in settings and (config.left or config.right):
        raise UsageError("--left, --right: they name the points of one pair; give its name with --landmark")
    if config.pairs and config.pairs not in get_args(PairsFrom) and not config.pairs.endswith(".json"):
        raise UsageError(f"--pairs {config.pairs}: expected {', '.join(get_args(PairsFrom))} or a JSON file")


def known_set(config: ImportConfig, settings: Mapping[str, Any], uri: str) -> LandmarkSet | None:
    """Return the set that --pairs or the settings name; None if the points in the files make it.

    Raises:
        DataError: if the file of --pairs, or the set in dataset.json at `uri`, is bad.
    """
    if config.pairs and config.pairs.endswith(".json"):
        return read_set(storage.absolute(config.pairs))
    if "landmark" in settings:
        return LandmarkSet.single_pair(settings["landmark"])
    if "landmarks" in settings and not config.pairs:
        return LandmarkSet.from_dict(settings["landmarks"], settings.get("mirror"), name=f"{uri}: landmarks")
    return None


def reading_of(config: ImportConfig, settings: Mapping[str, Any]) -> Reading:
    """Return the options for reading landmark files; --left and --right are a label or three columns."""
    if {len(config.left), len(config.right)} - {0, 1, 3}:
        raise UsageError("--left, --right: expected a label, or the names of three columns x, y and z")
    left_columns, right_columns = (names if len(names) == 3 else () for names in (config.left, config.right))
    left, right = (names[0] if len(names) == 1 else None for names in (config.left, config.right))
    columns = Columns(config.object_column, config.label_column, left_columns, right_columns)
    return Reading(settings.get("landmark"), left, right, columns, settings["unit"], config.landmark_unit)
