"""What the processes of a Ray session take, seen from outside: peak memory of their own and CPU seconds, by role."""

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
"""Ray's title of a process between two tasks."""


STORE = "/dev/shm/plasma"  # noqa: S108 (read, never written)
"""How the files begin that Ray's object store is mapped from."""


@dataclass
class Peak:
    """One process. title: of the last task or actor it was seen in. uss_mb: its peak. cpu_s: as of the last look."""

    title: str
    uss_mb: float = 0.0
    cpu_s: float = 0.0


@dataclass
class Footprint:
    """Looks at this session's workers on this machine, and at this process, while it is entered.

    Memory is what would be free if the process ended: USS less pages of the object store, which stay in it and which
    USS counts as long as a single process has touched them. roles: by the part of a title that gives each away.
    memory: look at memory, too, which reads the page tables of each process: 60 ms of a core. pause_s: between two
    looks; what a process takes for a shorter time is missed. cpu_history: at each look its time and the CPU seconds of
    all processes since they began.
    """

    roles: dict[str, str]
    memory: bool = True
    pause_s: float = 0.2
    peaks: dict[int, Peak] = field(default_factory=dict)
    cpu_history: list[tuple[float, float]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Begin to look."""
        raylet = psutil.Process(ray.get(_raylet.remote()))
        self._thread = threading.Thread(target=self._look_until_stopped, args=(raylet,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    @property
    def peak_mb(self) -> dict[str, float]:
        """The peak of the largest process of each role that was seen."""
        found: dict[str, float] = defaultdict(float)
        for peak in self.peaks.values():
            role = self._role(peak.title)
            found[role] = max(found[role], peak.uss_mb)
        return dict(found)

    def cpu_s(self, began: float, ended: float) -> float:
        """Return the CPU seconds of all processes between two times (time.time())."""
        times, totals = zip(*self.cpu_history, strict=True)
        first, last = np.interp((began, ended), times, totals)
        return float(last - first)

    def _role(self, title: str) -> str:
        return next((role for part, role in self.roles.items() if part in title), "Ray itself")

    def _look_until_stopped(self, raylet: psutil.Process) -> None:
        driver = psutil.Process()
        is_last = False
        while not is_last:  # looks at the beginning and once more at the end, however short the time between
            is_last = self._stop.wait(self.pause_s if self.cpu_history else 0)
            for process in (raylet, *_workers(raylet), driver):
                try:
                    self._look(process, "driver" if process == driver else _title(process))
                except (psutil.Error, FileNotFoundError, ProcessLookupError):  # it has just ended
                    continue
            self.cpu_history.append((time.time(), sum(peak.cpu_s for peak in self.peaks.values())))

    def _look(self, process: psutil.Process, title: str) -> None:
        peak = self.peaks.setdefault(process.pid, Peak(title))
        if title and not title.startswith(IDLE):  # a process that has just ended has no title any more
            peak.title = title
        peak.cpu_s = _cpu_s(process)
        if self.memory and self._role(peak.title) != "Ray itself":
            peak.uss_mb = max(peak.uss_mb, _own_mb(process.pid))


@ray.remote(num_cpus=0)
def _raylet() -> int:
    """Return the process that starts this session's workers: it is the parent of each."""
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


def _own_mb(pid: int) -> float:
    """Return a process's private memory without the object store's, in MB, by /proc (proc_pid_smaps(5))."""
    kib, is_store = 0, False
    with Path(f"/proc/{pid}/smaps").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split(maxsplit=5)
            if not words[0].endswith(":"):  # a mapping's first line: its addresses, ..., its file
                is_store = len(words) > 5 and words[5].startswith(STORE)
            elif words[0].startswith("Private_") and not is_store:
                kib += int(words[1])
    return kib * 1024 / 1e6


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
