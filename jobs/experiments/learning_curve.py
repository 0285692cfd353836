"""`python -m jobs.experiments learning-curve`: test error over the number of labelled objects."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli
from jobs.train_detector import DetectorTraining


@cli.config
@dataclass(frozen=True, kw_only=True)
class LearningCurveConfig(DetectorTraining):
    """What to measure on.

    Attributes:
        dataset: Local folder of a labelled dataset; its test split stays the same.
        out: Local folder for a dataset and a run per number of labels; existing runs are continued.
        labels: Numbers of labelled objects, training and validation together.
        projection: Which images to train on.
        image_size: Width and height of an image, in pixels.
        refiner_crops: Number of crops to train each stage of the refiner on.
    """

    dataset: str
    out: str
    labels: tuple[int, ...] = (5, 10, 20, 40, 100)
    projection: Projection = "orthographic"
    image_size: int = 512
    refiner_crops: int = 51_200


def learning_curve(config: LearningCurveConfig) -> None:
    """Measure the error on the same test objects over the number of labelled ones, with the default recipe.

    Example: python -m jobs.experiments learning-curve --dataset heads --out runs/labels --labels 5 10 20
    """
    from jobs.experiments.drivers.learning_curve import run  # imports take seconds; --help must not

    run(config)
