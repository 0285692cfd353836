"""`python -m jobs.experiments ablation`: the effect of each design choice, changed one at a time, over some seeds."""

from dataclasses import dataclass

from featurelib.runtime import cli
from jobs.train_detector import DetectorTraining


@cli.config
@dataclass(frozen=True, kw_only=True)
class AblationConfig(DetectorTraining):
    """What to measure on.

    Attributes:
        dataset: Folder or s3:// URI of a labelled dataset.
        out: Local folder for a run per row and seed; existing runs are continued.
        seeds: Seeds of the trainings.
        only: Rows to measure; default: all.
        image_size: Width and height of an image, in pixels.
        refiner_crops: Number of crops to train each stage of the refiner on.
    """

    dataset: str
    out: str
    seeds: tuple[int, ...] = (0, 1, 2)
    only: tuple[str, ...] = ()
    image_size: int = 512
    refiner_crops: int = 51_200


def ablation(config: AblationConfig) -> None:
    """Measure errors on test objects with one choice changed at a time: mean, least and largest over the seeds.

    Example: python -m jobs.experiments ablation --dataset heads --out runs/ablation --seeds 0 1 2
    """
    from jobs.experiments.drivers.ablation import run  # imports take seconds; --help must not

    run(config)
