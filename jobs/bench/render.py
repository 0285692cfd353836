"""`featurelib bench render`: renderers against each other, and the whole job against a bare loop."""

from dataclasses import dataclass

from featurelib.runtime import cli
from jobs.bench.flags import VARIANTS


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchRenderConfig:
    """What to measure on.

    Attributes:
        dataset: Folder of a dataset; default: 40 synthetic bodies.
        objects: Number of objects of the whole job; the dataset's are repeated under other names. Default: as they are.
        image_size: Width and height of an image, in pixels.
        processes: Number of parallel processes; default: one for each CPU of this machine.
        seconds: Duration of each figure and repeat.
        repeats: Number of measurements of each figure; the table shows the median and the range.
        variants: Renderers to compare.
        job: Also measure the whole render job against the bare loop.
    """

    dataset: str | None = None
    objects: int | None = None
    image_size: int = 512
    processes: int | None = None
    seconds: float = 4.0
    repeats: int = 3
    variants: tuple[str, ...] = VARIANTS
    job: bool = True


def bench_render(config: BenchRenderConfig = BenchRenderConfig()) -> None:
    """Measure views per second of each renderer, the share of PNG, and the whole job against the bare loop.

    Example: featurelib bench render --dataset heads --image-size 512
    Example: featurelib bench render --dataset heads --objects 4000 --image-size 256 --variants raster
    """
    from jobs.bench.drivers.render import run  # imports take seconds; --help must not

    run(config)
