"""`python -m jobs.experiments label-mistakes`: plant mistakes in labels and count those that are named."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class LabelMistakesConfig:
    """What to plant.

    Attributes:
        dataset: Folder or s3:// URI of a dataset whose labels are right.
        objects: Number of objects, the first of the dataset.
        share: Share of the labels, or of the objects, that get a mistake.
        named: Share of the labels, or of the objects, that may be named.
        slip_mm: Distance of a slip along the surface, in mm.
        repeats: Number of random choices of mistakes.
        seed: Seed of the first of them.
    """

    dataset: str
    objects: int = 200
    share: float = 0.05
    named: float = 0.08
    slip_mm: float = 5.0
    repeats: int = 5
    seed: int = 0


def label_mistakes(config: LabelMistakesConfig) -> None:
    """Plant sides swapped, names swapped, slips and marks of another object, and count those that are named.

    Mistakes are planted first in single labels and pairs, then in whole objects.

    Example: python -m jobs.experiments label-mistakes --dataset heads --objects 200
    """
    from jobs.experiments.drivers.label_mistakes import run  # imports take seconds; --help must not

    run(config)
