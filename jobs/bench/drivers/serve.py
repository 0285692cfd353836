"""`featurelib bench serve`: the server's routes against the bare forward pass and a plain Keras server."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.errors import DataError
from featurelib.models.lifter.files import is_trained
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.drivers.vectorize import forward_step, make_run
from jobs.bench.load import Outcome, Request, closed_loop, open_loop
from jobs.bench.renderers import rate
from jobs.bench.serve import BenchServeConfig
from jobs.bench.tables import cells
from jobs.bench.vectorize import BenchVectorizeConfig
from jobs.workers import cluster

logger = logging.getLogger(__name__)

START_SECONDS = 180.0
"""Time limit for a server to load its models."""


def run(config: BenchServeConfig) -> None:
    """Measure the forward pass, the plain server and the routes, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        run = storage.absolute(config.run or _made_run(config, Path(folder)))
        manifest = open_renders(run, config.projection)
        _print_forward(run, config, manifest)
        pngs, ids = _sample(manifest)
        plain = [Request("/", "image/png", png) for png in pngs]
        command = ["-m", "jobs.bench.plain_server", run, config.projection]
        with _server(command, "/openapi.json") as port:
            _measure("plain server, one image", port, plain, config)
        meshes = ["--dataset", config.dataset] if config.dataset else []
        with _server(["-m", "serve", "--run", run, *meshes, "--reload-seconds", "0", "--port"], "/healthz") as port:
            routes = _routes(run, config, manifest, pngs, ids)
            best, *_ = [_measure(name, port, requests, config) for name, requests in routes.items()]
            if config.overload_seconds > 0:
                _overload(port, routes["/infer, stored image"], best.rate, config)


def _made_run(config: BenchServeConfig, folder: Path) -> str:
    cluster.connect()
    flags = BenchVectorizeConfig(
        projection=config.projection, objects=16, alpha=config.alpha, input_size=config.input_size
    )
    made = make_run(flags, folder)
    import ray

    ray.shutdown()  # each server starts its own Ray
    return made


def _print_forward(run: str, config: BenchServeConfig, manifest: Manifest) -> None:
    print_result(f"{'':34}{'p50 ms':>9}{'p95':>9}{'p99':>9}{'per s':>10}   statuses")
    cpus = os.cpu_count() or 1
    for batch in (1, config.clients):
        arguments = (run, config.projection, manifest.shard_uris, batch, cpus)
        found = rate(forward_step, arguments, processes=1, seconds=config.seconds)
        print_result(f"{f'bare forward pass, batch {batch}':34}{1000 * batch / found:9.1f}{'':18}{found:10.1f}")


def _sample(manifest: Manifest) -> tuple[list[bytes], list[str]]:
    """Return up to 32 images of one view, and the ids of their objects."""
    rows = [row for uri in manifest.shard_uris[:4] for row in read_views(uri, view=0, columns=["png", "object_id"])]
    return [row["png"] for row in rows[:32]], [row["object_id"] for row in rows[:32]]


def _routes(
    run: str, config: BenchServeConfig, manifest: Manifest, pngs: Sequence[bytes], ids: Sequence[str]
) -> dict[str, list[Request]]:
    """Return the requests to measure, by the name of their route; the stored images come first."""
    projection = config.projection
    first = {"projection": projection, "method": "triangulation"}
    routes = {
        "/infer, stored image": [Request.of_json("/infer", object_id=i, view=0, projection=projection) for i in ids],
        "/infer, uploaded image": [Request.of_file("/infer", "image", png) for png in pngs],
        "/infer/3d, object": [Request.of_json("/infer/3d", object_id=i, projection=projection) for i in ids],
        "/infer/3d, object, triangulation": [Request.of_json("/infer/3d", object_id=i, **first) for i in ids],
    }
    if is_trained(run, projection):
        content = _mesh(config.dataset or manifest.dataset)
        routes["/infer/3d, uploaded mesh"] = [Request.of_file("/infer/3d", "mesh", content)]
    return routes


def _overload(port: int, stored: Sequence[Request], rate: float, config: BenchServeConfig) -> None:
    """Print the outcome of twice the rate that the server handles, and of one client after it has recovered."""
    _print("/infer at twice that rate", open_loop(port, stored, 2 * rate, config.overload_seconds))
    time.sleep(10)
    _print("/infer, one client, 10 s later", closed_loop(port, stored, 1, config.seconds))


def _measure(name: str, port: int, requests: Sequence[Request], config: BenchServeConfig) -> Outcome:
    """Print a route's latency with one client and its throughput with many; return the outcome with many."""
    closed_loop(port, requests, 1, 0.5)
    _print(f"{name}, 1", closed_loop(port, requests, 1, config.seconds))
    crowd = closed_loop(port, requests, config.clients, config.seconds)
    _print(f"{name}, {config.clients}", crowd)
    return crowd


def _print(name: str, outcome: Outcome) -> None:
    latencies = cells((outcome.percentile(q) for q in (50, 95, 99)), "9.1f")
    print_result(f"{name:34}{latencies}{outcome.rate:10.1f}   {dict(outcome.statuses)}")


def _mesh(dataset: str) -> bytes:
    found = open_dataset(dataset, labelled=False)
    return storage.read_bytes(found.mesh_uri(found.objects["mesh"][0].as_py()))


@contextlib.contextmanager
def _server(command: Sequence[str], probe: str) -> Iterator[int]:
    """Run a server in a child process and yield its port, which is the last argument of its command.

    Raises:
        DataError: if the server does not respond in time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logger.info("bench: starting %s", command[1])
    environment = {name: value for name, value in os.environ.items() if name != "FEATURELIB_TOKEN"}
    environment.setdefault("RAY_worker_niceness", "0")  # Ray runs workers at niceness 15, the plain server runs at 0
    process = subprocess.Popen([sys.executable, *command, str(port)], env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_SECONDS
        while not _is_up(f"http://127.0.0.1:{port}{probe}"):
            if process.poll() is not None or time.monotonic() > until:
                raise DataError(f"{command[1]}: no response within {START_SECONDS:g} s")
            time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310 (http on loopback)
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
