"""Align a dataset: to axes that the user names, and object by object to references with the correct orientation."""

from dataclasses import dataclass
from typing import Annotated

from featurelib.geometry.named_axes import Axis
from featurelib.runtime import cli
from featurelib.runtime.sandbox import SandboxLimits


@cli.config
@dataclass(frozen=True, kw_only=True)
class AlignConfig:
    """What to align, and to what.

    Attributes:
        dataset: Folder or s3:// URI of the dataset; its dataset.json and alignment.csv are written.
        front: Axis of the mesh files that points out of the face, for example -y.
        up: Axis of the mesh files that points up, for example +z.
        reference: Objects that have the correct orientation once the axes are named. All other objects are rotated to
            them. Five average out the peculiarities of each.
        out: Folder or s3:// URI that receives sheet.html (before and after) and alignment.json; default: none.
        dry_run: Print what would be written, and write nothing.
        object_timeout: Time limit per object, in seconds.
        object_memory_mb: Memory limit per object, in MB.
    """

    dataset: str
    front: Annotated[Axis | None, cli.hyphened] = None
    up: Annotated[Axis | None, cli.hyphened] = None
    reference: tuple[str, ...] = ()
    out: str | None = None
    dry_run: bool = False
    object_timeout: float = 120.0
    object_memory_mb: int = 8192

    @property
    def child_limits(self) -> SandboxLimits:
        """The limits of a process that reads meshes."""
        return SandboxLimits(seconds=self.object_timeout, memory_mb=self.object_memory_mb)


def align(config: AlignConfig) -> None:
    """Rotate a dataset's meshes so that the face points to +z and the top to +y. Left and right are never exchanged.

    Name the axes if all files have the same orientation. Name objects with the correct orientation if they differ.
    Objects whose rotation is not reliable are flagged for review: check them on the sheet.

    Example: featurelib align --dataset heads --front -y --up +z --reference head-1 head-2 --out checks
    """
    from jobs.drivers.align import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(align, "align"))
