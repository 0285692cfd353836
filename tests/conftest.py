"""What many tests share: one Ray, one small finished run."""

from pathlib import Path

import pytest

from featurelib.geometry import Alignment
from featurelib.synthetic import write_dataset

OBJECTS = 14

ALIGNMENT = Alignment(((0.5, 0.5, 0.5, 0.5), (0.9, 0.1, -0.3, 0.2)), scale=1.5)
"""Turns, a unit and a scale that must all come out right for anything to."""


@pytest.fixture(scope="session")
def cluster():
    """One Ray for the whole session: starting it takes ten seconds."""
    import ray

    from jobs import cluster

    cluster.connect()
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def bodies(tmp_path_factory) -> Path:
    """A dataset of synthetic bodies in inches and turned axes, with a split fixed so that so few fill all three."""
    folder = tmp_path_factory.mktemp("bodies")
    write_dataset(folder, OBJECTS, unit="inch", alignment=ALIGNMENT)
    table = folder / "landmarks.csv"
    header, *rows = table.read_text().splitlines()
    splits = ["val", "val", "test", "test", *["train"] * (OBJECTS - 4)]
    lines = [f"{header},split", *(f"{row},{split}" for row, split in zip(rows, splits, strict=True))]
    table.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def recipe(bodies, tmp_path_factory):
    """The flags of the run below: trained so briefly that only its form can be judged, and on one projection."""
    from jobs.pipeline import PipelineConfig

    return PipelineConfig(
        dataset=str(bodies),
        run=str(tmp_path_factory.mktemp("run")),
        projections=("orthographic",),
        image_size=128,
        input_size=64,
        alpha=0.35,
        weights="none",
        epochs=2,
        batch_size=16,
        refiner_pictures=64,
    )


@pytest.fixture(scope="session")
def run(cluster, recipe) -> Path:
    """A finished run on the bodies, rendered in both projections; two to three minutes on two cores."""
    from jobs.pipeline import pipeline
    from jobs.render import RenderConfig, render

    render(RenderConfig(dataset=recipe.dataset, run=recipe.run, image_size=recipe.image_size))
    pipeline(recipe)
    return Path(recipe.run)
