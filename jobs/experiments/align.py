"""`python -m jobs.experiments align`: measure how accurately randomly rotated objects are aligned again."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class AlignExperimentConfig:
    """What to rotate and align.

    Attributes:
        dataset: Folder of a dataset whose objects all have the same orientation; default: synthetic bodies.
        objects: Number of rotated objects, besides the references.
        references: Number of objects named as references.
        repeats: Number of sets of references, taken one after the other from the dataset.
        within_deg: Largest error of a correct alignment, in degrees.
        seed: Seed of the random rotations.
    """

    dataset: str | None = None
    objects: int = 200
    references: int = 5
    repeats: int = 2
    within_deg: float = 5.0
    seed: int = 0


def align_experiment(config: AlignExperimentConfig = AlignExperimentConfig()) -> None:
    """Rotate objects at random, align them again, and print the errors.

    Example: python -m jobs.experiments align --dataset heads --objects 200 --references 5
    """
    from jobs.experiments.drivers.align import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(align_experiment, "align"))
