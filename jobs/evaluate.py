"""RUN -> RUN/report: errors of all methods and of both baselines on test objects, which took no part in training."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What to evaluate.

    Attributes:
        run: Folder or s3:// URI of the run.
    """

    run: str


def evaluate(config: EvaluateConfig) -> None:
    """Measure the errors of all methods on test objects and write the report.

    Example: featurelib evaluate --run runs/heads
    """
    from jobs.drivers.evaluate import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(evaluate, "evaluate"))
