"""Flags that several benchmarks share, and their values."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli

VARIANTS = ("raster", "pyrender", "pyrender-default")
"""Our two back ends, and pyrender as in its documentation: its own shader and flags, four samples per pixel."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class RendersConfig:
    """Which renders to measure on.

    Attributes:
        run: Folder or s3:// URI of a run with renders; default: synthetic bodies, rendered for the measurement.
        projection: Which images to use.
        objects: Number of synthetic bodies.
        image_size: Width and height of their images, in pixels.
    """

    run: str | None = None
    projection: Projection = "orthographic"
    objects: int = 40
    image_size: int = 512
