import io
import logging
import re
import sys

import pytest

from featurelib.runtime.console import OutputOptions, set_output_options
from featurelib.runtime.progress import Progress, duration


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (190, "3 min 10 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_durations_are_text(seconds, text):
    """At most two units, and never 60 of the smaller one."""
    assert duration(seconds) == text


def test_progress_logs_its_state(capsys):
    """Each line has count, total, unit, note and remaining time; nothing goes to stdout."""
    progress = Progress("render", 4, "objects", every_s=0.0)
    progress.add(1, ", 9 views")
    progress.add(2)

    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert re.fullmatch(r"render: 1/4 objects, 9 views, about \d+ s left", first)
    assert re.fullmatch(r"render: 3/4 objects, about \d+ s left", second)


def test_progress_logs_its_end_once(capsys):
    """`add` does not log the last unit; `end` does, with the duration."""
    progress = Progress("render", 2, "objects", every_s=0.0)
    progress.add(2)
    progress.end(", 1 rejected")

    assert re.fullmatch(r"render: 2/2 objects, 1 rejected in \d+ s\n", capsys.readouterr().err)


def test_progress_is_logged_at_intervals(capsys):
    """Ten thousand quick units log nothing."""
    progress = Progress("render", 10_001, "objects")
    for _ in range(10_000):
        progress.add(1)

    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_and_a_final_line(monkeypatch):
    """Log messages appear above the bar, which is removed at the end."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    terminal = sys.stderr
    progress = Progress("render", 4, "objects", every_s=0.0)
    progress.add(1)
    logging.getLogger("featurelib.meshes").warning("a mesh is odd")
    progress.add(3, ", 36 views")
    progress.end()

    text = terminal.getvalue()
    assert "━" in text
    assert "a mesh is odd" in text
    assert "left\n" not in text
    assert re.search(r"render: 4/4 objects in \d+ s\n$", text)
    assert "\x1b[?25h" in text  # the cursor is back


def test_a_quiet_command_shows_no_progress(monkeypatch, capsys):
    """It shows neither lines nor bars."""
    set_output_options(OutputOptions(quiet=True))
    for stderr in (sys.stderr, Terminal()):
        monkeypatch.setattr(sys, "stderr", stderr)
        progress = Progress("render", 2, "objects", every_s=0.0)
        progress.add(1)
        progress.end()
        assert (stderr.getvalue() if isinstance(stderr, Terminal) else capsys.readouterr().err) == ""
