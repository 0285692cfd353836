"""`featurelib bench ingest`: our stream of training samples against tf.data on the same images as loose PNG files."""

from dataclasses import dataclass

from featurelib.runtime import cli
from jobs.bench.flags import RendersConfig


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchIngestConfig(RendersConfig):
    """What to measure on.

    Attributes:
        s3: URI of a folder in an object store, such as s3://bench/b; repeat the measurement on copies there.
        input_size: Width and height of the network's image, in pixels.
        batch_size: Samples per batch.
        samples: Maximum number of samples per figure and repeat; images are repeated as needed. Default: one full
            segment of the stream for each CPU.
        repeats: Number of measurements of each figure; the table shows the median and the range.
    """

    s3: str | None = None
    input_size: int = 224
    batch_size: int = 32
    samples: int | None = None
    repeats: int = 3


def bench_ingest(config: BenchIngestConfig = BenchIngestConfig()) -> None:
    """Measure samples per second of the training stream and of tf.data on loose files, from disk and from S3.

    Both decode each sample to one grey channel of the same size, count mirror images as separate samples, and deliver
    the same number of batches to a process that discards them.

    Example: featurelib bench ingest --run runs/heads
    """
    from jobs.bench.drivers.ingest import run  # imports take seconds; --help must not

    run(config)
