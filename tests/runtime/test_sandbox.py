"""Sandboxed processes that crash, hang, exceed their memory or are killed, and the parent that continues."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from featurelib.runtime.sandbox import OverLimitError, ProcessLostError, SandboxedProcess, SandboxLimits


def double(x):
    """Work that succeeds."""
    return 2 * x


def pid(_):
    """The process that works."""
    return os.getpid()


def crash(_):
    """A crash in native code, after some text on stderr."""
    print("reading the faces", file=sys.stderr, flush=True)
    ctypes.string_at(0)


def hang(_):
    """Work that never ends."""
    time.sleep(1000)


def hog(_):
    """Three gigabytes."""
    return len(bytearray(3 * 2**30))


def die(_):
    """The end of a process when the kernel runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_):
    """Work that raises an exception."""
    raise ValueError("no faces")


def die_once(marker):
    """Work whose process is killed once: the second try succeeds."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


@pytest.fixture(scope="module")
def sandbox():
    """A process with tight limits."""
    with SandboxedProcess(SandboxLimits(seconds=3, memory_mb=1024, recycle_after=1000), preload=["json"]) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (crash, "ended by SIGSEGV; stderr: reading the faces Fatal Python error: Segmentation fault"),
        (die, r"ended by SIGKILL \(out of memory\?\)"),
        (hang, "took longer than 3 s"),
        (hog, "needs more than 1024 MB"),
    ],
)
def test_a_lost_process_costs_its_own_piece_of_work(sandbox, work, words):
    """The reason is one line on how it ended, and the next piece of work succeeds."""
    with pytest.raises(ProcessLostError, match=words) as lost:
        sandbox(work, 0)

    assert "\n" not in str(lost.value)
    assert sandbox(double, 21) == 42


def test_the_works_own_errors_come_through(sandbox):
    """An exception of the work is raised; its process is not lost."""
    with pytest.raises(ValueError, match="no faces"):
        sandbox(refuse, 0)


def test_a_process_that_died_by_chance_gets_a_second_try(sandbox, tmp_path):
    """One kill from outside costs nothing."""
    assert sandbox(die_once, str(tmp_path / "marker")) == "done"


def test_too_slow_is_not_tried_twice(sandbox):
    """Work that took too long is not tried again."""
    started = time.monotonic()
    with pytest.raises(OverLimitError):
        sandbox(hang, 0)

    assert time.monotonic() - started < 2 * sandbox.limits.seconds


def test_results_come_in_order_around_a_loss(sandbox):
    """A map yields one outcome per item, in the order of the items."""
    first, lost, last = (outcome for work in (double, die, double) for outcome in sandbox.map(work, [4]))

    assert (first, last) == (8, 8)
    assert isinstance(lost, ProcessLostError)


def test_a_process_that_is_killed_while_it_rests_is_replaced(sandbox):
    """The next piece of work gets a new process, however the last one ended."""
    for _ in range(3):
        os.kill(sandbox(pid, 0), signal.SIGKILL)

        assert list(sandbox.map(double, [1, 2, 3])) == [2, 4, 6]


def test_a_process_is_replaced_after_its_share_of_work():
    """After `recycle_after` pieces of work the process is replaced, so that leaks do not add up."""
    with SandboxedProcess(SandboxLimits(recycle_after=3)) as sandbox:
        pids = list(sandbox.map(pid, range(9)))

    assert len(set(pids)) == 3
    assert all(1 <= pids.count(one) <= 3 for one in set(pids))


def test_a_closed_process_leaves_no_process():
    """Closing ends the process."""
    with SandboxedProcess(SandboxLimits()) as sandbox:
        number = sandbox(pid, 0)
    for _ in range(100):
        if not Path(f"/proc/{number}").exists():
            break
        time.sleep(0.05)

    assert not Path(f"/proc/{number}").exists()


MAKE_AND_BE_KILLED = """
import os, signal
from featurelib.runtime.sandbox import SandboxedProcess, SandboxLimits
sandbox = SandboxedProcess(SandboxLimits())
print(sandbox._folder.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_parent_leaves_nothing_for_long(monkeypatch, tmp_path):
    """Ray ends its workers with SIGKILL: the next one removes their folders, and none of living processes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    killed = subprocess.run([sys.executable, "-c", MAKE_AND_BE_KILLED], capture_output=True, text=True)
    left = Path(killed.stdout.strip())
    assert killed.returncode == -signal.SIGKILL
    assert left.is_dir()
    assert left.parent == tmp_path

    with SandboxedProcess(SandboxLimits()) as first, SandboxedProcess(SandboxLimits()) as second:
        assert not left.exists()
        assert first(double, 1) == second(double, 1) == 2
    assert list(tmp_path.iterdir()) == []
