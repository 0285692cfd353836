"""Progress of long work, as lines a person can read: counts, rate and time left."""

import sys
import time
from dataclasses import dataclass, field


def say(message: str) -> None:
    """Print a line of progress to stderr at once; stdout is kept for results."""
    print(message, file=sys.stderr, flush=True)


@dataclass
class Progress:
    """Counts work done and says so every `every_s` seconds.

    task: what is being done. total: how many `unit`s there are.
    """

    task: str
    total: int
    unit: str
    every_s: float = 5.0
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    def rate(self, count: int) -> float:
        """Return `count` of anything a second since the start."""
        return count / max(1e-9, time.monotonic() - self.started)

    def add(self, count: int, note: str = "") -> None:
        """Count `count` more units as done; `note` is added to the line, if one is due."""
        self.done += count
        now = time.monotonic()
        if now - self.said >= self.every_s and self.done < self.total:
            self.said = now
            left_s = (now - self.started) * (self.total - self.done) / max(1, self.done)
            say(f"{self.task}: {self.done}/{self.total} {self.unit}{note}, about {duration(left_s)} left")

    def end(self, note: str = "") -> None:
        """Say how it ended."""
        say(f"{self.task}: {self.done}/{self.total} {self.unit}{note} in {duration(time.monotonic() - self.started)}")


def duration(seconds: float) -> str:
    """Return seconds as text: 42 s, 3 min 10 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
