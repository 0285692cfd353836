"""The environment of a local cluster with a fast server, and what it exposes."""

import os
import stat
from pathlib import Path

import psutil

from serve.ray_environment import PATHS, fast_serve


def test_the_server_runs_behind_haproxy(address):
    """The tests' server has the configuration that users get."""
    (listens,) = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == _port(address)]

    assert psutil.Process(listens.pid).name() == "haproxy"
    assert listens.laddr.ip == "127.0.0.1"


def _port(address):
    return int(address.rpartition(":")[2])


def test_haproxys_files_are_its_users_alone():
    """Other users of the machine could stop the server through its admin socket."""
    found = fast_serve()

    folders = {Path(found[variable]).parent if name else Path(found[variable]) for variable, name in PATHS.items()}
    (folder,) = folders
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()


def test_two_servers_have_different_statistics_ports():
    """With the same ports the second server of a machine would not start."""
    first, second = fast_serve(), fast_serve()
    ports = [name for name in first if name.endswith("_PORT")]

    assert len(ports) == 2
    assert len({found[name] for found in (first, second) for name in ports}) == 4
