"""`python -m jobs.experiments suggest-curve`: errors over the number of labels, chosen by `suggest` or at random."""

from dataclasses import dataclass
from typing import Literal

from featurelib.runtime import cli
from jobs.train_detector import DetectorTraining


@cli.config
@dataclass(frozen=True, kw_only=True)
class SuggestCurveConfig(DetectorTraining):
    """What to measure on.

    Attributes:
        dataset: Local folder of a dataset in which all objects have all landmarks.
        method: `template` moves the labels of the chosen objects to the others by registration, in seconds. `refined`
            trains a whole pipeline for each number of labels, way and seed, and chooses with its models.
        out: Local folder for the datasets and runs of `refined`; existing runs are continued.
        pool: Number of objects from which to choose; the others are for the test.
        labels: Numbers of labelled objects.
        seeds: Seeds of the division into pool and test, and of the random choices.
        repeats: Number of random choices per seed; `refined` has one.
        image_size: Width and height of an image, in pixels.
        refiner_crops: Number of crops to train each stage of the refiner on.
    """

    dataset: str
    method: Literal["template", "refined"] = "template"
    out: str | None = None
    pool: int = 300
    labels: tuple[int, ...] = (12, 24, 36, 48, 60)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    repeats: int = 5
    image_size: int = 512
    refiner_crops: int = 51_200


def suggest_curve(config: SuggestCurveConfig) -> None:
    """Measure the 95th percentile of the errors on test objects at equal numbers of labels, chosen in different ways.

    Example: python -m jobs.experiments suggest-curve --dataset heads --pool 300
    """
    from jobs.experiments.drivers.suggest_curve import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(suggest_curve, "suggest-curve"))
