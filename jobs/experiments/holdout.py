"""`python -m jobs.experiments holdout`: compare `predict` with labels that the run has never seen."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class HoldoutConfig:
    """What to predict.

    Attributes:
        dataset: Folder or s3:// URI of a labelled dataset, none of whose objects the run was trained on.
        run: Folder or s3:// URI of a finished run.
        projection: Whose models predict; default: those with the smallest error on validation objects.
        out: Folder for the predictions; default: a temporary one.
    """

    dataset: str
    run: str
    projection: Projection | None = None
    out: str | None = None


def holdout(config: HoldoutConfig) -> None:
    """Measure the errors, error bars, rejections and time of `predict` on labelled objects that the run has never seen.

    Example: python -m jobs.experiments holdout --dataset more-heads --run runs/heads
    """
    from jobs.experiments.drivers.holdout import run  # imports take seconds; --help must not

    run(config)
