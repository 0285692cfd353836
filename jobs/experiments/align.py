"""`python -m jobs.experiments align`: how well are randomly rotated objects aligned again?"""

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.synthetic import write_dataset
from featurelib.errors import UsageError
from featurelib.geometry import rigid
from featurelib.meshes.orientation import OrientationJob, Oriented, ReferenceShape
from featurelib.runtime import cli
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import SandboxLimits
from jobs.align import find_orientations
from jobs.workers import cluster

logger = logging.getLogger(__name__)


@cli.config
@dataclass(frozen=True, kw_only=True)
class AlignExperimentConfig:
    """What to turn.

    Attributes:
        dataset: Folder of a dataset whose objects all stand alike; default: synthetic bodies.
        objects: How many are turned, besides the references.
        references: How many objects are named as standing right.
        repeats: How many sets of references are tried, one after the other in the dataset.
        within_deg: An object turned back as closely as this is right.
        seed: Of the turns.
    """

    dataset: str | None = None
    objects: int = 200
    references: int = 5
    repeats: int = 2
    within_deg: float = 5.0
    seed: int = 0


def align_experiment(config: AlignExperimentConfig = AlignExperimentConfig()) -> None:
    """Turn objects at random, any way, and align them again; print how far off they are.

    Example: python -m jobs.experiments align --dataset heads --objects 200 --references 5
    """
    with tempfile.TemporaryDirectory() as folder:
        if config.dataset is None:
            logger.info("bench: making %s synthetic bodies", config.objects + config.references)
            write_dataset(Path(folder), config.objects + config.references)
        dataset = open_dataset(config.dataset or folder, labelled=False)
        ids, needed = [*dataset.files], config.objects + config.references
        if len(ids) < needed or config.references * config.repeats > len(ids):
            raise UsageError(f"{dataset.uri}: has {len(ids)} objects; {needed} are needed, and sets of references")
        cluster.connect()
        print_result(
            f"{'references':24}{'mean':>8}{'median':>8}{'95 %':>8}{'largest':>8}"
            f"{'right':>8}{'not sure':>10}{'s each':>8}"
        )
        for start in range(0, config.references * config.repeats, config.references):
            _print(config, dataset, ids[start : start + config.references])


def _print(config: AlignExperimentConfig, dataset: Dataset, references: Sequence[str]) -> None:
    files, to_object = dataset.files, dataset.object_from_source
    ids = [object_id for object_id in files if object_id not in references][: config.objects]
    rotations = Rotation.random(len(ids), rng=config.seed).as_matrix()
    turns = dict(zip(ids, rotations, strict=True))
    jobs = [OrientationJob(i, dataset.mesh_uri(files[i].name), rigid(turns[i]) @ to_object) for i in ids]
    upright = ReferenceShape.of(dataset.load(files[references[0]]))
    standing = [OrientationJob(i, dataset.mesh_uri(files[i].name), to_object) for i in references]
    started = time.monotonic()
    found = find_orientations(SandboxLimits(), jobs, standing, upright)
    seconds = (time.monotonic() - started) * cluster.num_cpus() / len(ids)
    errors = errors_deg(turns, found)
    usual = float(np.median([turned.residual for turned in found.values()]))
    doubted = {object_id for object_id, turned in found.items() if turned.doubt(usual)}
    figures = (errors.mean(), *np.percentile(errors, [50, 95, 100]))
    right = (errors <= config.within_deg).mean()
    name = f"{references[0]} + {len(references) - 1}"
    print_result(
        f"{name:24}{''.join(f'{figure:8.2f}' for figure in figures)}{right:8.1%}{len(doubted):10}{seconds:8.2f}"
    )


def errors_deg(turns: Mapping[str, NDArray[np.float64]], found: Mapping[str, Oriented]) -> NDArray[np.float64]:
    """Return how far off each object is, once turned by rotations (3, 3) and back; 180 degrees without an answer."""
    return np.array(
        [
            np.degrees(Rotation.from_matrix(found[i].rotation @ turn).magnitude()) if i in found else 180.0
            for i, turn in turns.items()
        ]
    )


if __name__ == "__main__":
    cli.run(cli.single_command(align_experiment, "align"))
