"""`python -m jobs.experiments set-size`: errors, training time and cost per object over the number of landmarks."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli
from jobs.train_detector import DetectorTraining


@cli.config
@dataclass(frozen=True, kw_only=True)
class SetSizeConfig(DetectorTraining):
    """What to measure on.

    Attributes:
        dataset: Local folder of a labelled dataset.
        out: Local folder for the plot, and for a dataset and a run per number; existing runs are continued.
        channels: Numbers of pairs and single landmarks; each subset contains the smaller ones.
        first: Landmarks of the smallest subset; default: by a hash of their names, as the others.
        projection: Which images to train on.
        image_size: Width and height of an image, in pixels.
        refiner_crops: Number of crops to train each stage of the refiner on; default: that of train-refiner.
        sample: Number of objects on which the cost per object is measured.
    """

    dataset: str
    out: str
    channels: tuple[int, ...] = (1, 5, 15, 43)
    first: tuple[str, ...] = ()
    projection: Projection = "orthographic"
    image_size: int = 512
    refiner_crops: int | None = None
    sample: int = 24


def set_size(config: SetSizeConfig) -> None:
    """Train on subsets of the landmarks with the default recipe, and plot errors and costs over their number.

    Example: python -m jobs.experiments set-size --dataset heads --out runs/set-size --first tragus_left tragus_right
    """
    from jobs.experiments.drivers.set_size import run  # imports take seconds; --help must not

    run(config)
