"""Peak private memory and CPU seconds of the processes of a Ray session, by role."""

import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import psutil
import ray

IDLE = "ray::IDLE"
"""Title that Ray gives a process between two tasks."""

STORE = "/dev/shm/plasma"  # noqa: S108 (read, never written)
"""Prefix of the files that back Ray's object store."""


@dataclass
class Peak:
    """One process: the title of its last task or actor, its peak private memory, its latest CPU seconds."""

    title: str
    private_mb: float = 0.0
    cpu_s: float = 0.0


@dataclass
class Footprint:
    """Samples this session's workers on this machine, and this process, while the context is active.

    Memory is what the system would free if the process ended: USS without the pages of the object store. USS counts
    such a page while only one process has touched it, but it stays in the store.

    Attributes:
        roles: Role by a part of the process title.
        memory: Sample memory too, which costs 60 ms of a core per process, since its page tables are read.
        pause_s: Seconds between two samples; shorter peaks are missed.
        peaks: By process id.
        cpu_history: For each sample its time and the CPU seconds of all processes since they started.
    """

    roles: dict[str, str]
    memory: bool = True
    pause_s: float = 0.2
    peaks: dict[int, Peak] = field(default_factory=dict)
    cpu_history: list[tuple[float, float]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Start the sampling thread."""
        raylet = psutil.Process(ray.get(_raylet.remote()))
        self._thread = threading.Thread(target=self._sample_until_stopped, args=(raylet,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take a last sample and stop the thread."""
        self._stop.set()
        self._thread.join()

    @property
    def peak_mb(self) -> dict[str, float]:
        """The peak of the largest process of each role."""
        found: dict[str, float] = defaultdict(float)
        for peak in self.peaks.values():
            role = self._role(peak.title)
            found[role] = max(found[role], peak.private_mb)
        return dict(found)

    def cpu_s(self, began: float, ended: float) -> float:
        """Return the CPU seconds of all processes between two times (time.time())."""
        times, totals = zip(*self.cpu_history, strict=True)
        first, last = np.interp((began, ended), times, totals)
        return float(last - first)

    def _role(self, title: str) -> str:
        return next((role for part, role in self.roles.items() if part in title), "Ray itself")

    def _sample_until_stopped(self, raylet: psutil.Process) -> None:
        driver = psutil.Process()
        is_last = False
        while not is_last:  # samples once at the start and once at the end, however short the time between
            is_last = self._stop.wait(self.pause_s if self.cpu_history else 0)
            for process in (raylet, *_workers(raylet), driver):
                try:
                    self._sample(process, "driver" if process == driver else _title(process))
                except (psutil.Error, FileNotFoundError, ProcessLookupError):  # the process has just ended
                    continue
            self.cpu_history.append((time.time(), sum(peak.cpu_s for peak in self.peaks.values())))

    def _sample(self, process: psutil.Process, title: str) -> None:
        peak = self.peaks.setdefault(process.pid, Peak(title))
        if title and not title.startswith(IDLE):  # a process that has just ended has no title
            peak.title = title
        peak.cpu_s = _cpu_s(process)
        if self.memory and self._role(peak.title) != "Ray itself":
            peak.private_mb = max(peak.private_mb, _private_mb(process.pid))


@ray.remote(num_cpus=0)
def _raylet() -> int:
    """Return the id of the parent of all workers of this session."""
    return os.getppid()


def _workers(raylet: psutil.Process) -> list[psutil.Process]:
    try:
        return [process for process in raylet.children() if _title(process).startswith("ray::")]
    except psutil.Error:
        return []


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _private_mb(pid: int) -> float:
    """Return a process's private memory in MB without the object store's pages, from /proc (proc_pid_smaps(5))."""
    kib, is_store = 0, False
    with Path(f"/proc/{pid}/smaps").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split(maxsplit=5)
            if not words[0].endswith(":"):  # first line of a mapping: addresses, ..., file
                is_store = len(words) > 5 and words[5].startswith(STORE)
            elif words[0].startswith("Private_") and not is_store:
                kib += int(words[1])
    return kib * 1024 / 1e6


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
