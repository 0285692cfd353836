"""`python -m jobs.experiments folds`: errors and regions from folds against those on objects that no model has seen."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli
from jobs.train_detector import DetectorTraining


@cli.config
@dataclass(frozen=True, kw_only=True)
class FoldsConfig(DetectorTraining):
    """What to measure on.

    Attributes:
        dataset: Local folder of a labelled dataset.
        out: Local folder for the excerpts and the runs; existing runs are continued.
        objects: Number of objects in the folds.
        fresh: Number of other objects, which the final models predict.
        folds: Number of folds.
        group_size: Objects of each group; the dataset's own groups are not used.
        projection: Which images to train on.
        image_size: Width and height of an image, in pixels.
        refiner_crops: Number of crops to train each stage of the refiner on; default: that of train-refiner.
        once: Also train once on the same objects without folds, to compare the time.
    """

    dataset: str
    out: str
    objects: int = 60
    fresh: int = 300
    folds: int = 5
    group_size: int = 3
    projection: Projection = "orthographic"
    image_size: int = 512
    refiner_crops: int | None = None
    once: bool = True


def folds(config: FoldsConfig) -> None:
    """Compare errors, regions and time of folds with fresh objects and with one training.

    Example: python -m jobs.experiments folds --dataset heads400 --out runs/folds --objects 60 --fresh 300
    """
    from jobs.experiments.drivers.folds import run  # imports take seconds; --help must not

    run(config)
