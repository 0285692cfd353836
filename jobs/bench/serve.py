"""`featurelib bench serve`: the server's routes against the bare forward pass and a plain Keras server."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchServeConfig:
    """What to serve, and how to measure it.

    Attributes:
        run: Folder of a run; default: synthetic bodies and an untrained detector, without a lifter.
        dataset: Folder of its meshes, one of which is uploaded; default: the dataset that was rendered.
        projection: Whose models to measure.
        alpha: Width of the untrained detector.
        input_size: Width and height of its image, in pixels.
        clients: Number of concurrent clients for the throughput.
        seconds: Duration of each figure.
        overload_seconds: Duration of a load on /infer at twice its throughput; 0 omits it.
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
    """Measure latency and throughput of each route, of the bare forward pass and of a plain FastAPI + Keras server.

    They run on this machine one after the other, and so does the client.

    Example: featurelib bench serve --run runs/heads
    """
    from jobs.bench.drivers.serve import run  # imports take seconds; --help must not

    run(config)
