"""DATASET -> findings: checks of a dataset before any training."""

from dataclasses import dataclass

from featurelib.runtime import cli
from featurelib.runtime.sandbox import SandboxLimits


@cli.config
@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """What to check.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json, meshes/ and, except for `predict`, landmarks.csv.
        out: Folder or s3:// URI that receives sheet.html (the contact sheet) and findings.json. Default: none.
        object_timeout: Time limit for one object, in seconds.
        object_memory_mb: Memory limit for one object, in MB.
    """

    dataset: str
    out: str | None = None
    object_timeout: float = 120.0
    object_memory_mb: int = 8192

    @property
    def child_limits(self) -> SandboxLimits:
        """The limits of a process that reads meshes."""
        return SandboxLimits(seconds=self.object_timeout, memory_mb=self.object_memory_mb)


def validate(config: ValidateConfig) -> None:
    """Check a dataset before any training: files, units, axes, labels, duplicates and splits.

    The exit code is 0 without errors (warnings are possible), 1 with errors, and 2 on bad usage.

    Example: featurelib validate --dataset heads --out checks/heads
    """
    from jobs.drivers.validate import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(validate, "validate"))
