"""One server for the tests of this folder: starting its stages takes half a minute."""

import shutil
import socket

import httpx
import pytest

TOKEN = "correct-horse"
"""Of the server under test: every other test shows that it opens the door."""


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="package")
def served(run, tmp_path_factory):
    """A copy of the small run, which a test may change."""
    return shutil.copytree(run, tmp_path_factory.mktemp("served") / "run")


@pytest.fixture(scope="package")
def settings(served):
    """Settings small enough that a test can go beyond each limit."""
    from serve.catalogue import run_version
    from serve.settings import AppSettings, LimitSettings

    return AppSettings(
        run=str(served),
        token=TOKEN,
        cors_origins=("https://studio.example",),
        version=run_version(str(served)),
        limits=LimitSettings(
            body_mb=8, picture_pixels=1_000_000, mesh_faces=60_000, mesh_seconds=20.0, body_seconds=5.0
        ),
    )


@pytest.fixture(scope="package")
def address(settings, cluster):
    """The address of a server that answers for the small run."""
    from ray import serve as ray_serve

    from serve.__main__ import start

    port = free_port()
    start(settings, "127.0.0.1", port)
    yield f"http://127.0.0.1:{port}"
    ray_serve.shutdown()


@pytest.fixture(scope="package")
def client(address):
    """A client with the token."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=address, timeout=60, headers=headers) as client:
        yield client
