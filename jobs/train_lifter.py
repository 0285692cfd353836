"""RUN/vectors -> RUN/lifter: train the lifter, from image positions to all landmarks in millimetres."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class TrainLifterConfig:
    """How to train a lifter.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Projection of the vectors to train on.
        seed: Seed of the weights, the noise and the order of the samples.
    """

    run: str
    projection: Projection = "orthographic"
    seed: int = 0


def train_lifter(config: TrainLifterConfig) -> None:
    """Train the lifter: image positions in the views to landmarks in millimetres.

    Example: featurelib train-lifter --run runs/heads --projection orthographic
    """
    from jobs.drivers.train_lifter import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(train_lifter, "train_lifter"))
