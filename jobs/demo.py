"""A small synthetic dataset and the whole pipeline on it: the first command of a new user."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """What to generate.

    Attributes:
        run: Local folder for the dataset (RUN/dataset) and the run.
        objects: Number of bodies to generate.
        serve: Start the HTTP server at the end.
    """

    run: str = "runs/demo"
    objects: int = 60
    serve: bool = False


DEFAULTS = DemoConfig()


def demo(config: DemoConfig = DEFAULTS) -> None:
    """Generate a small synthetic dataset and run the whole pipeline on it, without any download.

    Example: featurelib demo --run runs/demo
    """
    from jobs.drivers.demo import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(demo, "demo"))
