"""Progress on stderr: bars on a terminal, log messages elsewhere."""

import logging
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from featurelib.runtime.console import output_options

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Count finished work; show it as a bar on a terminal, or log it every `every_s` seconds elsewhere.

    Attributes:
        task: Description of the work.
        total: Number of units.
        unit: Name of a unit and its state, such as "objects".
        every_s: Minimum time between two log lines.
        done: Number of finished units.
        started: Start, by time.monotonic().
        logged: Last log line, by time.monotonic().
        bar: Id of the bar on a terminal while it is shown.
    """

    task: str
    total: int
    unit: str
    every_s: float = 5.0
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    logged: float = field(default_factory=time.monotonic)
    bar: Any = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.task}: {self.done}/{self.total} {self.unit}"

    def rate(self, count: int) -> float:
        """Return `count` per second since the start."""
        return count / max(1e-9, time.monotonic() - self.started)

    def add(self, count: int, note: str = "") -> None:
        """Count `count` more units as done; `note` is appended to the line if one is due."""
        self.done += count
        if sys.stderr.isatty() and not output_options().quiet:
            _bars.show(self, note)
            return
        now = time.monotonic()
        if now - self.logged >= self.every_s and self.done < self.total:
            self.logged = now
            left_s = (now - self.started) * (self.total - self.done) / max(1, self.done)
            logger.info("%s%s, about %s left", self, note, duration(left_s))

    def end(self, note: str = "") -> None:
        """Remove the bar and log the total."""
        _bars.hide(self)
        logger.info("%s%s in %s", self, note, duration(time.monotonic() - self.started))


class _Bars:
    """The bars on a terminal, one below the other. All threads share one display, because rich allows only one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.display: Any = None
        self.count = 0

    def show(self, progress: Progress, note: str) -> None:
        """Show or update the bar of one Progress."""
        with self.lock:
            if self.display is None:
                self.display = _display()
                self.display.start()
            if progress.bar is None:
                progress.bar = self.display.add_task(progress.task, total=progress.total, unit="")
                self.count += 1
            self.display.update(progress.bar, completed=progress.done, unit=f"{progress.unit}{note}")

    def hide(self, progress: Progress) -> None:
        """Remove a bar, and the display with the last bar."""
        with self.lock:
            if progress.bar is not None:
                self.display.remove_task(progress.bar)
                progress.bar = None
                self.count -= 1
            if not self.count:
                self.stop()

    def stop(self) -> None:
        """Close the display and restore the terminal."""
        with self.lock:
            if self.display is not None:
                self.display.stop()
            self.display, self.count = None, 0


_bars = _Bars()


def restore_terminal() -> None:
    """Remove all bars and restore the terminal."""
    _bars.stop()


def _display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Display

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
    return Display(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)


def duration(seconds: float) -> str:
    """Return seconds as text: 42 s, 3 min 10 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
