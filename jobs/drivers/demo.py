"""A small synthetic dataset and the whole pipeline on it: the first command of a new user."""

import logging
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.errors import UsageError
from featurelib.runtime import storage
from featurelib.runtime.progress import Progress
from jobs.demo import DemoConfig
from jobs.pipeline import PipelineConfig, pipeline

logger = logging.getLogger(__name__)


def run(config: DemoConfig) -> None:
    """Write the bodies and run the pipeline on them."""
    if storage.is_s3(config.run):
        raise UsageError(f"--run {config.run}: expected a local folder")
    dataset = Path(config.run, "dataset")
    progress = Progress("demo: bodies", config.objects, "made")
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("forkserver")) as pool:
        write_dataset(
            dataset,
            config.objects,
            landmarks=LANDMARKS,
            progress=lambda made: progress.add(made - progress.done),
            pool=pool,
        )
    progress.end()
    pipeline(
        PipelineConfig(
            dataset=str(dataset),
            run=config.run,
            image_size=256,
            weights="none",
            refiner_crops=112 * config.objects,  # enough for synthetic bodies, as are the epochs
            epochs=6,
        )
    )
    if config.serve:
        os.execv(sys.executable, [sys.executable, "-m", "serve", "--run", config.run])  # noqa: S606 (no shell is involved)
    logger.info("serve the models with: featurelib serve --run %s", config.run)
