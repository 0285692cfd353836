"""Python, its packages, memory, disk, and Node.js."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import cache_from_source
from pathlib import Path

import numpy as np
import psutil

from featurelib.runtime import storage
from featurelib.validation.machine.check import Check

PYTHONS = ((3, 11), (3, 14))
"""From the first version to below the second: those with wheels of Ray and TensorFlow."""

PACKAGES = ("ray", "tensorflow", "numpy", "pyarrow", "numba")

MEMORY_GB = (2.0, 6.0)
"""Free memory: broken below the first, slow below the second. Training on two cores takes 2 to 4 GB."""

DISK_GB = (1.0, 10.0)
"""Free disk: 1,000 objects in two projections at 512 px take 0.5 GB; Ray spills and logs need more."""


def check_python(info: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Check whether the packages exist for this version of Python."""
    lowest, above = PYTHONS
    message = f"{'.'.join(map(str, info))}, {platform.machine()}"
    if lowest <= info[:2] < above:
        return Check("Python", "ok", message)
    return Check("Python", "broken", message, "make setup PYTHON=python3.12 (3.11 to 3.13 work)")


def check_packages() -> Check:
    """List the installed versions."""
    missing = [name for name in PACKAGES if _version(name) is None]
    message = ", ".join(f"{name} {_version(name) or 'missing'}" for name in PACKAGES)
    return Check("packages", "broken" if missing else "ok", message, "make setup" if missing else "")


def check_bytecode(module: Path = Path(np.__file__)) -> Check:
    """Check whether the packages are compiled, by the file of one of their modules.

    Python writes bytecode at the first import, but not with PYTHONDONTWRITEBYTECODE and not into a read-only folder.
    Then each process of Ray compiles its imports anew: predicting one mesh took 24.6 s, with bytecode 11.6 s.
    """
    if Path(cache_from_source(str(module))).exists():
        return Check("bytecode", "ok", "the packages are compiled")
    folder = module.parents[1]
    return Check("bytecode", "slow", f"none in {folder}", f"{sys.executable} -m compileall -q {folder}")


def check_memory(free_bytes: int | None = None) -> Check:
    """Count the CPUs, and check the free memory."""
    free_gb = (psutil.virtual_memory().available if free_bytes is None else free_bytes) / 2**30
    message = f"{os.cpu_count()} CPUs, {free_gb:.1f} GB of memory free"
    fix = "close other programs, set --object-memory-mb, or train with a smaller --batch-size"
    status = "broken" if free_gb < MEMORY_GB[0] else "slow" if free_gb < MEMORY_GB[1] else "ok"
    return Check("memory", status, message, "" if status == "ok" else fix)  # type: ignore[arg-type]


def check_disk(folder: str, free_bytes: int | None = None) -> Check:
    """Check the free space on the disk of a local folder, which need not exist yet."""
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    free_gb = (shutil.disk_usage(place).free if free_bytes is None else free_bytes) / 2**30
    status = "broken" if free_gb < DISK_GB[0] else "slow" if free_gb < DISK_GB[1] else "ok"
    fix = "" if status == "ok" else "free some space, or choose a --run on another disk"
    return Check("disk", status, f"{free_gb:.0f} GB free at {place}", fix)  # type: ignore[arg-type]


def check_node() -> Check:
    """Check whether Node.js is installed; only development of the viewer needs it."""
    path = shutil.which("node")
    if path is None:
        return Check("node", "broken", "not found", "install Node.js to work on the viewer", is_needed=False)
    found = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    return Check("node", "ok", found.stdout.strip(), is_needed=False)


def disk_folders(uris: list[str]) -> list[str]:
    """Return the local ones among some URIs, or the working folder if there is none."""
    return [uri for uri in uris if not storage.is_s3(uri)] or [str(Path.cwd())]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
