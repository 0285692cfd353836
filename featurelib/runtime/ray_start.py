"""The start of Ray: if it fails, one line says what to do, and the processes that it started end.

Ray raises many types: Exception ("The current node timed out during startup"), RuntimeError ("Failed to start GCS"),
RaySystemError, ConnectionError, TimeoutError and OSError (source: `ray/_private/node.py`, `services.py` and `worker.py`
of Ray 2.60). Its processes then run on until this process ends.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from featurelib.errors import MachineError

END_S = 5.0
"""Seconds in which the processes of a failed start may end by themselves before they are killed."""


@contextmanager
def starting_ray(address: str) -> Iterator[None]:
    """Start Ray in this block.

    Args:
        address: "local", or that of the cluster to join.

    Raises:
        MachineError: in place of any error of the block.
    """
    before, begun = _children(), time.monotonic()
    try:
        yield
    except Exception as error:
        seconds = time.monotonic() - begun
        if address == "local":
            _end(_children() - before)
        raise MachineError(_message(address, seconds, error)) from error


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
