"""Shared fixtures: one Ray, one small complete run, object stores."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.synthetic import EAR_TIPS, LANDMARKS, write_dataset
from featurelib.geometry import Alignment
from featurelib.runtime.console import OutputOptions, set_output_options
from jobs.pipeline import PipelineConfig

OBJECTS = 14

ALIGNMENT = Alignment(((0.5, 0.5, 0.5, 0.5), (0.9, 0.1, -0.3, 0.2)), scale=1.5)
"""Rotations and a scale that differ from the identity, so that an error in any of them is visible."""


def pytest_addoption(parser):
    """Add the flag that repeats a suite on a larger set."""
    parser.addoption("--landmark-set", action="store_true", help="label the bodies with six landmarks, not with a pair")


@pytest.fixture(autouse=True)
def console():
    """Log to stderr with the default options, as a command does."""
    set_output_options(OutputOptions())


@pytest.fixture(scope="session")
def cluster():
    """One Ray for the whole session: starting it takes ten seconds."""
    import ray

    from jobs.workers import cluster
    from serve.ray_environment import fast_serve

    with pytest.MonkeyPatch.context() as environment:  # the tests of the server use this cluster too
        for name, value in fast_serve().items():
            environment.setenv(name, value)
        cluster.connect()
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def bodies(pytestconfig, tmp_path_factory) -> Path:
    """A dataset of synthetic bodies in inches and rotated axes; its fixed split has objects in all three parts.

    They have one pair in the short spelling, or with `--landmark-set` six landmarks, one of which is not labelled on a
    training body.
    """
    folder = tmp_path_factory.mktemp("bodies")
    is_set = pytestconfig.getoption("--landmark-set")
    write_dataset(folder, OBJECTS, unit="inch", alignment=ALIGNMENT, landmarks=LANDMARKS if is_set else EAR_TIPS)
    table = folder / "landmarks.csv"
    header, *rows = table.read_text().splitlines()
    splits = ["val", "val", "test", "test", *["train"] * (OBJECTS - 4)]
    if is_set:
        (folder / "objects.csv").write_bytes(write_objects({f"body-{i:05d}": ("", s) for i, s in enumerate(splits)}))
        lines = [header, *(row for row in rows if not row.startswith("body-00009,nose_tip,"))]
    else:
        lines = [f"{header},split", *(f"{row},{split}" for row, split in zip(rows, splits, strict=True))]
    table.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def recipe(bodies, tmp_path_factory):
    """The flags of the fixture `run`: one projection, trained too briefly for a useful accuracy."""
    return PipelineConfig(
        dataset=str(bodies),
        run=str(tmp_path_factory.mktemp("run")),
        projections=("orthographic",),
        image_size=128,
        input_size=64,
        alpha=0.35,
        weights="none",
        epochs=2,
        batch_size=16,
        refiner_crops=64,
    )


@pytest.fixture(scope="session")
def output_of() -> Callable[..., list[str]]:
    """A function that runs a command, on a Ray of its own or at an address, and returns the lines that it shows."""
    return _output_of


def _output_of(*flags: str, address: str | None = None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"RAY_ADDRESS": address} if address else {}
    command = [sys.executable, "-m", "featurelib", *flags]
    ended = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.splitlines()


@pytest.fixture(scope="session")
def run_and_output(cluster, recipe, output_of) -> tuple[Path, list[str]]:
    """The fixture `run`, and the lines that its pipeline showed."""
    import ray

    from jobs.render import RenderConfig, render

    address = ray.get_runtime_context().gcs_address
    render(RenderConfig(dataset=recipe.dataset, run=recipe.run, image_size=recipe.image_size))
    flags = [
        (f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else [str(value)]))
        for name, value in vars(recipe).items()
        if value != getattr(PipelineConfig(dataset="", run=""), name)
    ]
    return Path(recipe.run), output_of("pipeline", *chain.from_iterable(flags), address=address)


@pytest.fixture(scope="session")
def run(run_and_output) -> Path:
    """A complete run on the bodies, rendered in both projections; takes about a minute on two cores."""
    return run_and_output[0]


CHROMIUM = Path("/usr/bin/chromium")

SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
"""WebGL without a graphics card."""


@pytest.fixture(scope="session")
def chromium():
    """Debian's headless Chromium."""
    if not CHROMIUM.exists():
        assert not os.environ.get("CI"), "CI has no chromium; .ci/run installs it"
        pytest.skip("no /usr/bin/chromium (Debian: chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *SOFTWARE_GL])
        yield browser
        browser.close()


class Store(NamedTuple):
    """An object store on loopback: the environment variables that select it, and its port."""

    environment: dict[str, str]
    port: int

    def through(self, port: int) -> "Store":
        """Return the same store behind a proxy."""
        return Store({**self.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, port)


@pytest.fixture(scope="session")
def ray_workers() -> Callable[[str], list[psutil.Process]]:
    """A function that returns the live workers of this process's cluster by a word in their title."""
    return _ray_workers


def _ray_workers(word: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # the process has just ended
            title = "".join(process.cmdline()[:1])
            found += [process] if title.startswith("ray::") and word in title else []
    return found


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def listening(command: list[str], port: int, log: Path, **environment: str) -> Iterator[None]:
    """Run a server during the block, which begins when the server listens."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            pytest.fail(f"{command[1]} did not start: {log.read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def swift(tmp_path_factory) -> Iterator[Store]:
    """OpenStack Swift with its S3 API, from PyPI in its own environment; it has one bucket, `bucket`."""
    folder = tmp_path_factory.mktemp("swift")
    python = os.environ.get("FEATURELIB_SWIFT_PYTHON") or str(folder / "venv" / "bin" / "python")
    if not Path(python).exists():
        venv.create(folder / "venv", with_pip=True)
        installed = subprocess.run([python, "-m", "pip", "install", "--quiet", "swift"], capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"swift cannot be installed: {installed.stderr[-300:]}")
    port = free_port()
    server = str(Path(__file__).with_name("swift_server.py"))
    keys = {"AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    with listening([python, server, str(folder / "files"), str(port)], port, folder / "log"):
        store = Store({**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, port)
        with here(store) as client:
            client.create_bucket(Bucket="bucket")
        yield store


@pytest.fixture(scope="session")
def moto(tmp_path_factory, page_of_a_listing) -> Iterator[Store]:
    """The S3 server of moto, which has conditional PUTs; it has one bucket, `bucket`."""
    port = free_port()
    server = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    page = {"MOTO_S3_DEFAULT_MAX_KEYS": str(page_of_a_listing)}
    with listening(server, port, tmp_path_factory.mktemp("moto") / "log", **page):
        store = Store({**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, port)
        with here(store) as client:
            client.create_bucket(Bucket="bucket")
        yield store


@pytest.fixture(scope="session")
def page_of_a_listing() -> int:
    """Number of names per page of a listing by moto; S3 has 1,000."""
    return 5


@pytest.fixture
def in_bucket(moto) -> Iterator[str]:
    """The URI of a bucket of moto, which this process uses during the test."""
    with here(moto):
        yield "s3://bucket"


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path) -> str:
    """The URI of an empty folder, on disk and in an object store."""
    if request.param == "local":
        return str(tmp_path / "folder")
    return f"{request.getfixturevalue('in_bucket')}/{tmp_path.name}"


@contextmanager
def here(store: Store) -> Iterator:
    """Use a store in this process; yields the client."""
    from featurelib.runtime import s3

    with pytest.MonkeyPatch.context() as environment:
        for name, value in store.environment.items():
            environment.setenv(name, value)
        s3.client.cache_clear()
        try:
            yield s3.client()
        finally:
            s3.client.cache_clear()


@pytest.fixture
def faulty_swift(swift, tmp_path) -> Iterator[tuple[Store, Callable[[], dict[str, int]]]]:
    """Swift behind a proxy that injects faults, and a function that returns their counts."""
    port = free_port()
    proxy = [sys.executable, str(Path(__file__).with_name("fault_proxy.py")), str(port), str(swift.port)]

    def faults() -> dict[str, int]:
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/-/faults"))

    with listening(proxy, port, tmp_path / "proxy.log"):
        yield swift.through(port), faults


@pytest.fixture(scope="session")
def use_store() -> Callable:
    """A context manager that makes this process use a store."""
    return here


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """A function that returns free TCP ports."""
    return lambda count: [free_port() for _ in range(count)]
