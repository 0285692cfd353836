"""`featurelib bench serve`: the server's routes against the bare forward pass and against a plain Keras server."""

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
from dataclasses import dataclass
from pathlib import Path

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.errors import DataError
from featurelib.geometry import Projection
from featurelib.models.lifter.files import is_trained
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from jobs.bench.load import Outcome, Question, closed_loop, open_loop
from jobs.bench.renderers import rate
from jobs.bench.vectorize import BenchVectorizeConfig, forward_step, make_run
from jobs.workers import cluster

logger = logging.getLogger(__name__)

START_SECONDS = 180.0
"""How long a server may take to load its models."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchServeConfig:
    """What to serve, and how to ask.

    Attributes:
        run: Folder of a run; default: synthetic bodies and an untrained detector, without a lifter.
        dataset: Folder of its meshes, of which one is uploaded; default: where the rendering found them.
        projection: Whose detector is measured.
        alpha: Width of the untrained detector.
        input_size: Width and height of its image, in pixels.
        clients: That ask at once, for the throughput.
        seconds: For each figure.
        overload_seconds: How long to ask /infer at twice what it answers; 0 leaves it out.
    """

    run: str | None = None
    dataset: str | None = None
    projection: Projection = "orthographic"
    alpha: float = 1.0
    input_size: int = 224
    clients: int = 32
    seconds: float = 5.0
    overload_seconds: float = 10.0


def bench_serve(config: BenchServeConfig = BenchServeConfig()) -> None:
    """Latency and throughput of each route, beside the bare forward pass and a plain FastAPI + Keras server.

    All run on this machine, one after the other, and the client with them.

    Example: featurelib bench serve --run runs/heads
    """
    with tempfile.TemporaryDirectory() as folder:
        run = storage.absolute(config.run or _made_run(config, Path(folder)))
        manifest = open_renders(run, config.projection)
        _say_forward(run, config, manifest)
        pngs, ids = _sample(manifest)
        plain = [Question("/", "image/png", png) for png in pngs]
        command = ["-m", "jobs.bench.plain_server", run, config.projection]
        with _server(command, "/openapi.json") as port:
            _measure("plain server, one image", port, plain, config)
        meshes = ["--dataset", config.dataset] if config.dataset else []
        with _server(["-m", "serve", "--run", run, *meshes, "--reload-seconds", "0", "--port"], "/healthz") as port:
            _measure_routes(port, run, config, manifest, pngs, ids)


def _made_run(config: BenchServeConfig, folder: Path) -> str:
    cluster.connect()
    flags = BenchVectorizeConfig(
        projection=config.projection, objects=16, alpha=config.alpha, input_size=config.input_size
    )
    made = make_run(flags, folder)
    import ray

    ray.shutdown()  # the servers start one of their own
    return made


def _say_forward(run: str, config: BenchServeConfig, manifest: Manifest) -> None:
    print_result(f"{'':34}{'p50 ms':>9}{'p95':>9}{'p99':>9}{'a second':>10}   statuses")
    cpus = os.cpu_count() or 1
    for batch in (1, config.clients):
        arguments = (run, config.projection, manifest.shard_uris, batch, cpus)
        found = rate(forward_step, arguments, processes=1, seconds=config.seconds)
        print_result(f"{f'bare forward pass, batch {batch}':34}{1000 * batch / found:9.1f}{'':18}{found:10.1f}")


def _sample(manifest: Manifest) -> tuple[list[bytes], list[str]]:
    """Return images of one view, and the ids of their objects."""
    rows = [row for uri in manifest.shard_uris[:4] for row in read_views(uri, view=0, columns=["png", "object_id"])]
    return [row["png"] for row in rows[:32]], [row["object_id"] for row in rows[:32]]


def _measure_routes(
    port: int, run: str, config: BenchServeConfig, manifest: Manifest, pngs: Sequence[bytes], ids: Sequence[str]
) -> None:
    projection = config.projection
    stored = [Question.of_json("/infer", object_id=i, view=0, projection=projection) for i in ids]
    best = _measure("/infer, stored image", port, stored, config)
    _measure("/infer, uploaded image", port, [Question.of_file("/infer", "image", png) for png in pngs], config)
    objects = [Question.of_json("/infer/3d", object_id=i, projection=projection) for i in ids]
    _measure("/infer/3d, object", port, objects, config)
    first = [Question.of_json("/infer/3d", object_id=i, projection=projection, method="triangulation") for i in ids]
    _measure("/infer/3d, object, triangulation", port, first, config)
    if is_trained(run, projection):
        content = _mesh(config.dataset or manifest.dataset)
        _measure("/infer/3d, uploaded mesh", port, [Question.of_file("/infer/3d", "mesh", content)], config)
    if config.overload_seconds > 0:
        over = open_loop(port, stored, 2 * best.rate, config.overload_seconds)
        _print("/infer at twice that rate", over)
        time.sleep(10)
        _print("/infer, one client, 10 s later", closed_loop(port, stored, 1, config.seconds))


def _measure(name: str, port: int, questions: Sequence[Question], config: BenchServeConfig) -> Outcome:
    """Print a route's latency with one client and its throughput with many; return the latter."""
    closed_loop(port, questions, 1, 0.5)
    _print(f"{name}, 1", closed_loop(port, questions, 1, config.seconds))
    crowd = closed_loop(port, questions, config.clients, config.seconds)
    _print(f"{name}, {config.clients}", crowd)
    return crowd


def _print(name: str, outcome: Outcome) -> None:
    figures = "".join(f"{outcome.percentile(q):9.1f}" for q in (50, 95, 99))
    print_result(f"{name:34}{figures}{outcome.rate:10.1f}   {dict(outcome.statuses)}")


def _mesh(dataset: str) -> bytes:
    found = open_dataset(dataset, labelled=False)
    return storage.read_bytes(found.mesh_uri(found.objects["mesh"][0].as_py()))


@contextlib.contextmanager
def _server(command: Sequence[str], probe: str) -> Iterator[int]:
    """Start a server in a process of its own, on a free port that is its last argument; end it afterwards.

    Raises:
        DataError: if it does not answer in time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logger.info("bench: starting %s", " ".join(command[:2]))
    environment = {name: value for name, value in os.environ.items() if name != "FEATURELIB_TOKEN"}
    environment.setdefault("RAY_worker_niceness", "0")  # Ray gives its workers 15, the plain server runs at 0
    process = subprocess.Popen([sys.executable, *command, str(port)], env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_SECONDS
        while not _answers(f"http://127.0.0.1:{port}{probe}"):
            if process.poll() is not None or time.monotonic() > until:
                raise DataError(f"{command[1]}: did not answer within {START_SECONDS:g} s")
            time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (http on loopback)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
