"""Ray's start fails for real: one line, exit code 2, and no process left."""

import os
import subprocess
import sys

import pytest

from featurelib.errors import MachineError
from featurelib.runtime.ray_start import starting_ray

NO_TIME = {"RAY_gcs_rpc_server_connect_timeout_s": "0", "RAY_gcs_server_request_timeout_seconds": "1"}
"""Limits with which Ray cannot reach the GCS that it has started."""

ASIDE = """
import atexit, psutil, sys
from featurelib.runtime import cli, console
me = psutil.Process()
atexit.register(lambda: print("left:", [p.cmdline()[:1] for p in me.children(recursive=True)], flush=True))
"""
"""Code that prints, at the end of a process, the processes that it leaves."""

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


def ended(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a process without a cluster to join."""
    variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | environment
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("code", "environment"),
    [
        (ASIDE + CONNECT, NO_TIME),
        (ASIDE + SERVE, NO_TIME),
    ],
)
def test_a_failed_start_is_one_line_and_leaves_no_process(code, environment):
    """The server starts Ray in the same way."""
    found = ended(code, **environment)

    ours = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    assert found.returncode == 2, found.stderr
    assert len(ours) == 1, found.stderr
    assert "Ray did not start within" in ours[0]
    assert "repeat the command; `featurelib doctor` checks the machine" in ours[0]
    assert "Traceback" not in found.stderr
    assert found.stdout == "left: []\n"


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
