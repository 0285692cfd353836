"""Ray's start fails for real: one line, exit code 2, and no process left."""

import os
import subprocess
import sys
from contextlib import suppress
from uuid import uuid4

import psutil
import pytest

from featurelib.errors import MachineError
from featurelib.runtime.ray_start import starting_ray

ASIDE = """
import contextlib, psutil, signal, threading, time
from featurelib.runtime import cli, console, ray_start
me = psutil.Process()

def send(number, name):
    ray_start.LIMIT_S = 6 if number == signal.SIGSTOP else ray_start.LIMIT_S
    while True:
        for child in me.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # others come and go
                if child.name() == name and child.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                    child.send_signal(number)
        time.sleep(0.01)
"""
"""Code that sends a signal to a process of Ray as soon as it starts; a start that hangs has 6 s."""

THREAD = "threading.Thread(target=send, args=(signal.{}, '{}'), daemon=True).start()"
DIES = ASIDE + THREAD.format("SIGKILL", "gcs_server")
HANGS = ASIDE + THREAD.format("SIGSTOP", "raylet")

CONNECT = """
def connect():
    from jobs.workers import cluster
    cluster.connect()
cli.run(cli.single_command(connect, "connect"), [])
"""

SERVE = """
from serve.server import start
cli.run(cli.single_command(lambda: start(None, "127.0.0.1", 0), "serve"), [])
"""


def ended(code: str) -> tuple[int, list[str], list[psutil.Process]]:
    """Run code in a process without a cluster to join; return its exit code, its lines and what it leaves running."""
    variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"LEFT_BY": uuid4().hex}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr.splitlines(), marked(variables["LEFT_BY"])


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes with this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("LEFT_BY") == mark:
                found.append(process)
    return psutil.wait_procs(found, timeout=5)[1]


@pytest.mark.parametrize("begin", [CONNECT, SERVE])
@pytest.mark.parametrize("trouble", [pytest.param(DIES, marks=pytest.mark.slow), HANGS])  # Ray itself gives up in 40 s
def test_a_failed_start_is_one_line_and_leaves_no_process(trouble, begin):
    """The server starts Ray in the same way. A start that hangs ends at its limit."""
    code, lines, left = ended(trouble + begin)

    ours = [line for line in lines if line.startswith("error: ")]
    assert code == 2, lines
    assert len(ours) == 1, lines
    assert "Ray did not start within" in ours[0]
    assert "repeat the command; `featurelib doctor` checks the machine" in ours[0]
    assert not any("Traceback" in line for line in lines)
    assert left == []


def test_a_cluster_that_cannot_be_joined_is_named():
    """The fix is its address; Ray itself tries for two minutes, so the error is raised here."""
    line = "the Ray cluster at nowhere:1 cannot be joined \\(Failed to connect\\); check RAY_ADDRESS and that it runs"
    with pytest.raises(MachineError, match=line), starting_ray("nowhere:1"):
        raise ConnectionError("Failed to connect")


@pytest.mark.parametrize(
    "error", [Exception("The current node\ntimed out during startup."), OSError(), RuntimeError("x")]
)
def test_any_error_of_the_start_becomes_one_line(error):
    """Ray raises many types; their text is part of the line."""
    with pytest.raises(MachineError) as found, starting_ray("local"):
        raise error
    message = str(found.value)
    assert "\n" not in message
    assert (" ".join(str(error).split()).rstrip(".") or "OSError") in message
    assert found.value.__cause__ is error


def test_other_processes_are_left_alone():
    """A child that another thread started meanwhile goes on."""
    children = []

    def fail():
        with starting_ray("local"):
            children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
            raise OSError

    with pytest.raises(MachineError):
        fail()
    assert children[0].poll() is None
    children[0].communicate(b"\n")
