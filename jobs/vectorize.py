"""RUN/renders + RUN/detector -> RUN/vectors: each object's near positions in all views, found by the detector."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli

BATCH = 32
"""Images decoded together, and run at once on a GPU; a batch may span shards. LiteRT takes one image at a time."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class VectorizeConfig:
    """Which images to run the detector on.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Whose images and detector to use.
        cpus_per_worker: CPU threads of each detector; default: 1, or with GPUs an equal share of the CPUs per GPU.
    """

    run: str
    projection: Projection = "orthographic"
    cpus_per_worker: int | None = None


def vectorize(config: VectorizeConfig) -> None:
    """Run the detector over all views and gather each object's positions.

    Example: featurelib vectorize --run runs/heads --projection orthographic
    """
    from jobs.drivers.vectorize import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(vectorize, "vectorize"))
