"""A step's output folder is whole when its config.json is there, which is written last.

It holds the resolved configuration and the hashes of the inputs, so a step whose config.json says what
would be written now has nothing to do.
"""

import json
from collections.abc import Mapping
from typing import Any

from featurelib.runtime import storage


def is_complete(config_uri: str, config: Mapping[str, Any]) -> bool:
    """Whether the step ended with just this configuration and these inputs."""
    return storage.exists(config_uri) and json.loads(storage.read_bytes(config_uri)) == json.loads(json.dumps(config))


def mark_complete(config_uri: str, config: Mapping[str, Any]) -> None:
    """Say that the step ended; call it after all else is written."""
    storage.write_bytes(config_uri, json.dumps(config, indent=1).encode())


def invalidate(config_uri: str) -> None:
    """Take back what an earlier run said, before its output is replaced."""
    storage.delete(config_uri)
