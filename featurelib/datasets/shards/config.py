"""The configuration of a projection's images, `config.json`: written before the first shard, compared by later runs."""

import json
from collections.abc import Mapping
from typing import Any

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.dataset_json import set_values
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.geometry.landmark_set import difference
from featurelib.runtime import storage


def read_config(uri: str) -> dict[str, Any]:
    """Return the configuration in the folder `uri`; empty without one."""
    config = storage.join(uri, "config.json")
    return json.loads(storage.read_bytes(config)) if storage.exists(config) else {}


def write_config(uri: str, dataset: Dataset, spec: RenderSpec) -> None:
    """Write the configuration of a dataset's images into the folder `uri`, unless it is there."""
    config, content = storage.join(uri, "config.json"), json.dumps(_values(dataset, spec), indent=1).encode()
    if not storage.exists(config) or storage.read_bytes(config) != content:
        storage.write_bytes(config, content)


def refuse_change(uri: str, earlier: Mapping[str, Any], dataset: Dataset, spec: RenderSpec) -> None:
    """Raise DataError if the configuration differs from an earlier one that is not empty; a dataset may move.

    Outlines and definitions of the landmarks may change, too.
    """
    if not earlier:
        return
    if "landmarks" not in earlier:
        raise DataError(f"{uri}: begun by an older version of featurelib; --overwrite renders anew")
    before = LandmarkSet.from_dict(earlier["landmarks"], earlier["mirror"], name=f"{uri}/config.json: landmarks")
    if before.hash != dataset.landmarks.hash:
        change = difference(before, dataset.landmarks)
        raise DataError(f"{uri}: was rendered with another landmark set ({change}); --overwrite renders anew")
    now = json.loads(json.dumps(spec.to_dict()))
    for name in now:
        if earlier.get(name) != now[name]:
            raise DataError(
                f"{uri}: was rendered with {name} {earlier.get(name)}, not {now[name]}; --overwrite renders anew"
            )


def _values(dataset: Dataset, spec: RenderSpec) -> dict[str, Any]:
    return {"dataset": dataset.uri, **set_values(dataset.landmarks), **spec.to_dict()}
