"""Meshes + RUN's first estimates -> RUN/refiner: train the networks that refine the estimates on crops."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class TrainRefinerConfig:
    """How to train a refiner.

    Attributes:
        run: Folder or s3:// URI of the run.
        dataset: Folder or s3:// URI with the meshes; default: that of the rendering.
        projection: Projection of the lifter whose estimates are refined.
        start_from: Earlier run on the same landmarks, whose networks the training starts from.
        reuse_networks: Use the networks of this other projection's refiner unchanged; only calibrate them on this
            projection's estimates.
        num_crops: Number of training crops per stage; default: 51,200 for a pair, and 1,600 for each further pair or
            single landmark; a quarter of these with start_from.
        batch_size: Crops per step.
        learning_rate: Initial learning rate (Adam); it falls to zero along a cosine.
        cpus: CPUs of the training; default: all CPUs of the largest node, less one that renders crops.
        seed: Seed of the weights and the crops.
    """

    run: str
    dataset: str | None = None
    projection: Projection = "orthographic"
    start_from: str | None = None
    reuse_networks: Projection | None = None
    num_crops: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    cpus: int | None = None
    seed: int = 0


def train_refiner(config: TrainRefinerConfig) -> None:
    """Train the networks that refine the first estimate on crops.

    Example: featurelib train-refiner --run runs/heads --projection orthographic
    """
    from jobs.drivers.train_refiner import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(train_refiner, "train_refiner"))
