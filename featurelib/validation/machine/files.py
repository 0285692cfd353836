"""Whether a dataset can be read and a run written, where they are."""

import os
import time
import uuid
from pathlib import Path

from featurelib.errors import ConflictError, DataError
from featurelib.runtime import storage
from featurelib.validation.machine.check import Check

SLOW_S = 2.0
"""For a small file there and back. Object stores near by take 0.1 s."""


def check_dataset(uri: str) -> Check:
    """Return whether a dataset's description and its list of meshes can be read."""
    uri = storage.absolute(uri)
    started = time.monotonic()
    try:
        storage.read_bytes(storage.join(uri, "dataset.json"))
        meshes = len(storage.list_files(storage.join(uri, "meshes")))
    except DataError as error:
        return Check("dataset", "broken", str(error), _fix(uri, "is --dataset the folder with dataset.json?"))
    return _timed("dataset", f"{uri}: {meshes} files in meshes/", started)


def check_run(uri: str) -> Check:
    """Return whether a run's folder can be written, read, compared and emptied again."""
    uri = storage.absolute(uri)
    probe, content = storage.join(uri, f"doctor-{uuid.uuid4().hex}"), uuid.uuid4().bytes
    started = time.monotonic()
    try:
        storage.swap_bytes(probe, content, None)
        if storage.read_bytes(probe) != content:
            raise DataError(f"{probe}: another content was read than was written")
        try:
            storage.swap_bytes(probe, b"", None)
            raise DataError(f"{uri}: two writers could both commit; the store ignores If-None-Match")
        except ConflictError:
            pass
    except (DataError, OSError) as error:
        return Check("run", "broken", str(error), _fix(uri, "may this user write there?"))
    finally:
        _forget(probe)
    return _timed("run", f"{uri}: written and read", started)


def _timed(name: str, message: str, started: float) -> Check:
    seconds = time.monotonic() - started
    message = f"{message} in {seconds:.2f} s"
    return (
        Check(name, "slow", message, "move it nearer to the machine")
        if seconds > SLOW_S
        else Check(name, "ok", message)
    )


def _fix(uri: str, otherwise: str) -> str:
    if not storage.is_s3(uri):
        return otherwise
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "not set"
    return f"set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL ({endpoint}); does the bucket exist?"


def _forget(probe: str) -> None:
    """Take the probe away, if it can be reached at all."""
    try:
        storage.delete(probe)
        if not storage.is_s3(probe):
            folder, _, name = probe.rpartition("/")
            Path(f"{folder}/.{name}.lock").unlink()
    except (DataError, OSError):
        pass
