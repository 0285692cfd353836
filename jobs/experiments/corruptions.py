"""`python -m jobs.experiments corruptions`: whether a run rejects corrupted objects, or accepts wrong predictions."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class CorruptionsConfig:
    """What to corrupt.

    Attributes:
        run: Folder or s3:// URI of a finished run.
        projection: Projection of the models.
        each: Number of test objects per kind of corruption.
        right_mm: Largest error of a right prediction, also for a corrupted object.
    """

    run: str
    projection: Projection = "orthographic"
    each: int = 2
    right_mm: float = 3.0


def corruptions(config: CorruptionsConfig) -> None:
    """Corrupt test objects and count the wrong predictions that are accepted.

    Example: python -m jobs.experiments corruptions --run runs/heads
    """
    from jobs.experiments.drivers.corruptions import run  # imports take seconds; --help must not

    run(config)
