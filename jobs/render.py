"""DATASET -> RUN/renders: every object from every view of the rig, in each projection."""

from dataclasses import dataclass
from typing import Literal

from featurelib.geometry import Projection
from featurelib.runtime import cli
from featurelib.runtime.sandbox import SandboxLimits


@cli.config
@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """What to render.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json, meshes/ and landmarks.csv.
        run: Folder or s3:// URI that receives the run.
        start_from: Earlier run whose objects stay in their splits.
        projections: Projections to render.
        image_size: Width and height of an image, in pixels.
        rig: JSON file with the views. Default: nine views, azimuth -90 to +90 degrees.
        frame_mm: Width of the image at the object, in mm. Default: estimated from a sample of the objects.
        backend: Renderer: raster (CPU), pyrender (GPU through EGL), auto (pyrender if there is a GPU).
        overwrite: Replace images of another configuration.
        max_reject_fraction: End with an error, and no manifest, if more than this share of the objects fails.
        max_workers: Maximum number of worker processes, one CPU each. Default: all CPUs of the cluster.
        gpus_per_worker: Share of a GPU per worker, for pyrender.
        object_timeout: Time limit for one object, in seconds.
        object_memory_mb: Memory limit for one object, in MB.
        recycle_after: Number of objects after which a render process is replaced, so that leaks do not add up.
    """

    dataset: str
    run: str
    start_from: str | None = None
    projections: tuple[Projection, ...] = ("orthographic", "perspective")
    image_size: int = 512
    rig: str | None = None
    frame_mm: float | None = None
    backend: Literal["auto", "raster", "pyrender"] = "auto"
    overwrite: bool = False
    max_reject_fraction: float = 0.5
    max_workers: int | None = None
    gpus_per_worker: float = 0.0
    object_timeout: float = 120.0
    object_memory_mb: int = 8192
    recycle_after: int = 500

    @property
    def child_limits(self) -> SandboxLimits:
        """The limits of a render process."""
        return SandboxLimits(
            seconds=self.object_timeout, memory_mb=self.object_memory_mb, recycle_after=self.recycle_after
        )


def render(config: RenderConfig) -> None:
    """Render every object of a dataset from every view of the rig.

    Example: featurelib render --dataset heads --run runs/heads --image-size 512
    """
    from jobs.drivers.render import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(render, "render"))
