"""Completion of a step: its output folder is complete when config.json exists, which is written last.

The file holds the resolved configuration and the hashes of the inputs. A step has nothing to do if it would write the
same file again.
"""

import json
from collections.abc import Mapping
from typing import Any

from featurelib.runtime import storage


def is_complete(config_uri: str, config: Mapping[str, Any]) -> bool:
    """Return whether the step completed with this configuration and these inputs."""
    return storage.exists(config_uri) and json.loads(storage.read_bytes(config_uri)) == json.loads(json.dumps(config))


def mark_complete(config_uri: str, config: Mapping[str, Any]) -> None:
    """Mark the step as complete; call this after all other files are written."""
    storage.write_bytes(config_uri, json.dumps(config, indent=1).encode())


def invalidate(config_uri: str) -> None:
    """Remove the mark of an earlier run before its output is replaced."""
    storage.delete(config_uri)
