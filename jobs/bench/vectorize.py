"""`featurelib bench vectorize`: the whole job against its network alone and against decoding alone."""

from dataclasses import dataclass

from featurelib.runtime import cli
from jobs.bench.flags import RendersConfig
from jobs.vectorize import BATCH


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchVectorizeConfig(RendersConfig):
    """What to measure on.

    Attributes:
        run: Folder or s3:// URI of a run with renders and a detector; default: synthetic bodies and an untrained
            detector.
        objects: Number of synthetic bodies.
        alpha: Width of the untrained detector.
        input_size: Width and height of its image, in pixels.
        cpus_per_worker: As for vectorize.
        batch_sizes: Batch sizes of the forward pass; the job is compared with the fastest.
        seconds: Duration of each figure and repeat, except the job's.
        repeats: Number of measurements of each figure; the table shows the median and the range.
    """

    run: str | None = None
    objects: int = 96
    alpha: float = 1.0
    input_size: int = 224
    cpus_per_worker: int | None = None
    batch_sizes: tuple[int, ...] = (BATCH, 2 * BATCH)
    seconds: float = 3.0
    repeats: int = 3


def bench_vectorize(config: BenchVectorizeConfig = BenchVectorizeConfig()) -> None:
    """Measure images per second of the whole vectorize job, of its network alone and of decoding alone.

    The defaults take about two minutes on two idle cores. On several GPUs the forward pass is measured wrongly, because
    all of its processes use the first GPU.

    Example: featurelib bench vectorize --run runs/heads
    """
    from jobs.bench.drivers.vectorize import run  # imports take seconds; --help must not

    run(config)
