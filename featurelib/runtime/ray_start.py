"""The start of Ray: if it fails, one line says what to do, and the processes that it started end.

Ray raises many types: Exception ("The current node timed out during startup"), RuntimeError ("Failed to start GCS"),
RaySystemError, ConnectionError, TimeoutError and OSError (source: `ray/_private/node.py`, `services.py` and `worker.py`
of Ray 2.60). Its processes then run on until this process ends.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from featurelib.errors import MachineError

logger = logging.getLogger(__name__)

LIMIT_S = 300.0
"""Seconds that a start may take. Ray's own limits (30 s for a node, two minutes for a cluster to join) come first, but
they do not hold everywhere: where a part of Ray does not answer, `ray.init` waits without end."""

END_S = 5.0
"""Seconds in which the processes of a failed start may end by themselves before they are killed."""


@contextmanager
def starting_ray(address: str) -> Iterator[None]:
    """Start Ray in this block; after LIMIT_S, print the line of the error and end this process with code 2.

    Args:
        address: "local", or that of the cluster to join.

    Raises:
        MachineError: in place of any error of the block.
    """
    before, begun = _children(), time.monotonic()
    timer = threading.Timer(LIMIT_S, _give_up, (address, before))
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        seconds = time.monotonic() - begun
        timer.cancel()
        if address == "local":
            _end(_children() - before)
        raise MachineError(_message(address, seconds, error)) from error
    finally:
        timer.cancel()


def _give_up(address: str, before: set[psutil.Process]) -> None:
    """End the process: `ray.init` waits in compiled code, where no exception reaches it."""
    if address == "local":
        _end(_children() - before)
    logger.error("error: %s", _message(address, LIMIT_S, TimeoutError("no answer")))
    os._exit(2)


def _message(address: str, seconds: float, error: Exception) -> str:
    reason = " ".join(str(error).split())[:150].rstrip(" .") or type(error).__name__
    if address != "local":
        return f"the Ray cluster at {address} cannot be joined ({reason}); check RAY_ADDRESS and that it runs"
    return (
        f"Ray did not start within {seconds:.0f} s on this machine ({reason}); close other programs or free /tmp, then "
        "repeat the command; `featurelib doctor` checks the machine"
    )


def _children() -> set[psutil.Process]:
    """Return the processes of a Ray that this process has started, and theirs; not those of other threads."""
    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("/ray/" in part or part.startswith("ray::") for part in child.cmdline()):
                found |= {child, *child.children(recursive=True)}
    return found


def _end(processes: set[psutil.Process]) -> None:
    """End processes by their ids: politely, then at once."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(list(processes), timeout=END_S)[1]:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(list(processes), timeout=END_S)
