"""What a command says: results on stdout, progress on stderr, as bars where a person looks and as lines elsewhere."""

import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OutputOptions:
    """How a command speaks.

    quiet: no progress, only results and errors. verbose: also what Ray says, and an error's traceback.
    json: results as JSON, one object a line.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False


_now = OutputOptions()
"""Of this process; a command's own process sets it once, workers never speak to the user."""


def output_options() -> OutputOptions:
    """Return how this process's command speaks."""
    return _now


def set_output_options(wanted: OutputOptions) -> None:
    """Choose how this process's command speaks."""
    global _now
    _now = wanted


def say(message: str) -> None:
    """Print a line of progress to stderr at once; stdout is kept for results."""
    if not _now.quiet:
        print(message, file=sys.stderr, flush=True)


def say_result(text: str, values: Mapping[str, Any]) -> None:
    """Print a result to stdout: the text, or with --json the values as one line."""
    print(json.dumps(values, default=str) if _now.json else text, flush=True)


@dataclass
class Progress:
    """Counts work done and says so every `every_s` seconds, or draws a bar on a terminal.

    task: what is being done. total: how many `unit`s there are. bar: of the terminal, while there is one.
    """

    task: str
    total: int
    unit: str
    every_s: float = 5.0
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    bar: Any = field(default=None, repr=False, compare=False)

    def rate(self, count: int) -> float:
        """Return `count` of anything a second since the start."""
        return count / max(1e-9, time.monotonic() - self.started)

    def add(self, count: int, note: str = "") -> None:
        """Count `count` more units as done; `note` is added to the line, if one is due."""
        self.done += count
        if sys.stderr.isatty() and not _now.quiet:
            _bars.show(self, note)
            return
        now = time.monotonic()
        if now - self.said >= self.every_s and self.done < self.total:
            self.said = now
            left_s = (now - self.started) * (self.total - self.done) / max(1, self.done)
            say(f"{self.task}: {self.done}/{self.total} {self.unit}{note}, about {duration(left_s)} left")

    def end(self, note: str = "") -> None:
        """Say how it ended."""
        _bars.hide(self)
        say(f"{self.task}: {self.done}/{self.total} {self.unit}{note} in {duration(time.monotonic() - self.started)}")


class _Bars:
    """The bars on a terminal, one below the other: there can be only one live display, whatever threads work."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.display: Any = None
        self.count = 0

    def show(self, progress: Progress, note: str) -> None:
        """Draw where a piece of work stands."""
        with self.lock:
            if self.display is None:
                self.display = _display()
                self.display.start()
            if progress.bar is None:
                progress.bar = self.display.add_task(progress.task, total=progress.total, unit="")
                self.count += 1
            self.display.update(progress.bar, completed=progress.done, unit=f"{progress.unit}{note}")

    def hide(self, progress: Progress) -> None:
        """Take a bar away, and the display with the last one."""
        with self.lock:
            if progress.bar is not None:
                self.display.remove_task(progress.bar)
                progress.bar = None
                self.count -= 1
            if not self.count:
                self.stop()

    def stop(self) -> None:
        """Give the terminal back."""
        with self.lock:
            if self.display is not None:
                self.display.stop()
            self.display, self.count = None, 0


_bars = _Bars()


def give_terminal_back() -> None:
    """End all bars, however their work ended."""
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
