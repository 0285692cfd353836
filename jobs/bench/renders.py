"""Renders to measure on: those of a run, or of synthetic bodies rendered for the measurement."""

import contextlib
import io
import logging
from pathlib import Path

from featurelib.datasets.synthetic import write_dataset
from jobs.bench.flags import RendersConfig
from jobs.render import RenderConfig, render

logger = logging.getLogger(__name__)


def rendered_run(config: RendersConfig, folder: Path) -> str:
    """Return the configured run, or a run below `folder` with newly rendered synthetic bodies."""
    if config.run:
        return config.run
    logger.info("bench: rendering %s synthetic bodies", config.objects)
    dataset, run = str(folder / "bodies"), str(folder / "run")
    write_dataset(folder / "bodies", config.objects)
    projections, image_size = (config.projection,), config.image_size
    render_silently(
        RenderConfig(dataset=dataset, run=run, projections=projections, image_size=image_size, backend="raster")
    )
    return run


def render_silently(config: RenderConfig) -> None:
    """Render without printing the result."""
    with contextlib.redirect_stdout(io.StringIO()):
        render(config)
