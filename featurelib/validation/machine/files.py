"""Datasets and runs: whether they can be read and written."""

import os
import time
import uuid
from pathlib import Path

from featurelib.errors import ConflictError, DataError
from featurelib.runtime import storage
from featurelib.validation.machine.check import Check

SLOW_S = 2.0
"""Seconds to write and read a small file. Nearby object stores take 0.1 s."""


def check_dataset(uri: str) -> Check:
    """Read a dataset's description and list its meshes."""
    uri = storage.absolute(uri)
    started = time.monotonic()
    try:
        storage.read_bytes(storage.join(uri, "dataset.json"))
        meshes = len(storage.list_files(storage.join(uri, "meshes")))
    except DataError as error:
        return Check("dataset", "broken", str(error), _fix(uri, "--dataset must be the folder with dataset.json"))
    return _timed("dataset", f"{uri}: {meshes} files in meshes/", started)


def check_run(uri: str) -> Check:
    """Write, compare, overwrite conditionally and delete a probe file in a run's folder."""
    uri = storage.absolute(uri)
    probe, content = storage.join(uri, f"doctor-{uuid.uuid4().hex}"), uuid.uuid4().bytes
    started = time.monotonic()
    try:
        storage.swap_bytes(probe, content, None)
        if storage.read_bytes(probe) != content:
            raise DataError(f"{probe}: content differs from what was written")
        try:
            storage.swap_bytes(probe, b"", None)
            raise DataError(f"{uri}: the store ignores If-None-Match, so two writers could both commit")
        except ConflictError:
            pass
    except (DataError, OSError) as error:
        return Check("run", "broken", str(error), _fix(uri, "choose a folder that this user may write to"))
    finally:
        _forget(probe)
    return _timed("run", f"{uri}: written and read", started)


def _timed(name: str, message: str, started: float) -> Check:
    seconds = time.monotonic() - started
    message = f"{message} in {seconds:.2f} s"
    return Check(name, "slow", message, "move it closer") if seconds > SLOW_S else Check(name, "ok", message)


def _fix(uri: str, otherwise: str) -> str:
    if not storage.is_s3(uri):
        return otherwise
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "not set"
    return f"set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL ({endpoint}), and create the bucket"


def _forget(probe: str) -> None:
    """Delete the probe and its lock file, if they can be reached."""
    try:
        storage.delete(probe)
        if not storage.is_s3(probe):
            folder, _, name = probe.rpartition("/")
            Path(f"{folder}/.{name}.lock").unlink()
    except (DataError, OSError):
        pass
