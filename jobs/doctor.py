"""Check this machine, and the cluster that the command joins: one line per check, with the fix."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """What to check besides the machine.

    Attributes:
        dataset: Folder or s3:// URI of a dataset; checks that it can be read.
        run: Folder or s3:// URI of a run; checks that it can be written.
    """

    dataset: str | None = None
    run: str | None = None


DEFAULTS = DoctorConfig()


def doctor(config: DoctorConfig = DEFAULTS) -> None:
    """Check this machine, with ok, slow or broken and the fix in each line. Takes about half a minute.

    Ends with code 1 if something needed is broken.

    Example: featurelib doctor --run s3://bucket/runs/heads
    """
    from jobs.drivers.doctor import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(doctor, "doctor"))
