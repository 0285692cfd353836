"""`featurelib bench predict`: objects per second of the whole job, and the CPU time of its stages."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchPredictConfig:
    """What to predict, and on how much of the machine.

    Attributes:
        dataset: Folder or s3:// URI of the meshes.
        run: Folder or s3:// URI of a finished run.
        projection: Whose models predict; default: those with the smallest error on validation objects.
        workers: Numbers of workers to measure, one after the other; default: one for each CPU.
        sample: Number of objects on which the stages alone are measured.
    """

    dataset: str
    run: str
    projection: Projection | None = None
    workers: tuple[int, ...] = ()
    sample: int = 48


def bench_predict(config: BenchPredictConfig) -> None:
    """Measure objects per second of `predict`, the CPU time of each stage, and the scaling over workers.

    Example: featurelib bench predict --dataset heads --run runs/heads --workers 1 2
    """
    from jobs.bench.drivers.predict import run  # imports take seconds; --help must not

    run(config)
