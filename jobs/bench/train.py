"""`featurelib bench train`: a training against its stream and its step alone, and the memory of its processes."""

from dataclasses import dataclass
from typing import Literal

from featurelib.runtime import cli
from jobs.bench.flags import RendersConfig


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchTrainConfig(RendersConfig):
    """What to measure on.

    Attributes:
        alpha: Width of the network, which starts untrained.
        input_size: Width and height of the network's image, in pixels.
        batch_size: Samples per step, over all workers.
        workers: Numbers of workers to measure, one after the other.
        cpus_per_worker: As for train-detector.
        gpu: Use one GPU for each worker.
        precision: As for train-detector.
        epochs: Epochs of each training. The first one compiles the step and is left out if there are others.
        samples: Samples of the stream alone.
        seconds: Duration of the step alone.
        images: Measure peak memory for these numbers of training images instead of rates. Smaller datasets are
            trained for more epochs, so that all trainings have the same number of steps.
        plot: SVG file for a plot of the memory.
    """

    alpha: float = 0.35
    input_size: int = 224
    batch_size: int = 32
    workers: tuple[int, ...] = (1,)
    cpus_per_worker: int | None = None
    gpu: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    epochs: int = 3
    samples: int = 16_000
    seconds: float = 10.0
    images: tuple[int, ...] = ()
    plot: str | None = None


def bench_train(config: BenchTrainConfig = BenchTrainConfig()) -> None:
    """Measure images per second of the stream, the step and a training; with --images, measure peak memory.

    The network starts untrained, so that all of its layers train from the first epoch.

    Example: featurelib bench train --run runs/heads --workers 1 2
    """
    from jobs.bench.drivers.train import run  # imports take seconds; --help must not

    run(config)
