"""`python -m jobs.experiments align`: measure how accurately randomly rotated objects are aligned again."""

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.synthetic import write_dataset
from featurelib.errors import UsageError
from featurelib.geometry import rigid
from featurelib.meshes.orientation import OrientationJob, Oriented
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.registration import angle_deg
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import SandboxLimits
from jobs.drivers.align import find_orientations
from jobs.experiments.align import AlignExperimentConfig
from jobs.workers import cluster

logger = logging.getLogger(__name__)


def run(config: AlignExperimentConfig) -> None:
    """Align the objects to each set of references, and print the errors."""
    with tempfile.TemporaryDirectory() as folder:
        if config.dataset is None:
            logger.info(f"align: writing {config.objects + config.references} synthetic bodies")
            write_dataset(Path(folder), config.objects + config.references)
        dataset = open_dataset(config.dataset or folder, labelled=False)
        ids, needed = [*dataset.files], max(config.objects + config.references, config.references * config.repeats)
        if len(ids) < needed:
            raise UsageError(
                f"{dataset.uri}: {len(ids)} objects; {needed} are needed (lower --objects, --references or --repeats)"
            )
        cluster.connect()
        print_result(
            f"{'references':24}{'mean':>8}{'median':>8}{'95 %':>8}{'largest':>8}"
            f"{'right':>8}{'flagged':>10}{'s each':>8}"
        )
        for start in range(0, config.references * config.repeats, config.references):
            _print(config, dataset, ids[start : start + config.references])


def _print(config: AlignExperimentConfig, dataset: Dataset, references: Sequence[str]) -> None:
    files, to_object = dataset.files, dataset.object_from_source
    ids = [object_id for object_id in files if object_id not in references][: config.objects]
    rotations = dict(zip(ids, Rotation.random(len(ids), rng=config.seed).as_matrix(), strict=True))
    jobs = [OrientationJob(i, dataset.mesh_uri(files[i].name), rigid(rotations[i]) @ to_object) for i in ids]
    first = ReferenceShape.of(dataset.load(files[references[0]]))
    reference_jobs = [OrientationJob(i, dataset.mesh_uri(files[i].name), to_object) for i in references]
    started = time.monotonic()
    found = find_orientations(SandboxLimits(), jobs, reference_jobs, first)
    seconds = (time.monotonic() - started) * cluster.num_cpus() / len(ids)
    errors = errors_deg(rotations, found)
    typical = float(np.median([one.residual for one in found.values()]))
    num_flagged = sum(bool(one.review_reason(typical)) for one in found.values())
    figures = (errors.mean(), *np.percentile(errors, [50, 95, 100]))
    right = (errors <= config.within_deg).mean()
    name = f"{references[0]} + {len(references) - 1}"
    print_result(
        f"{name:24}{''.join(f'{figure:8.2f}' for figure in figures)}{right:8.1%}{num_flagged:10}{seconds:8.2f}"
    )


def errors_deg(rotations: Mapping[str, NDArray[np.float64]], found: Mapping[str, Oriented]) -> NDArray[np.float64]:
    """Return the error of each object after its rotation (3, 3) and the alignment; 180 degrees without a result."""
    return np.array(
        [angle_deg(found[i].rotation @ rotation) if i in found else 180.0 for i, rotation in rotations.items()]
    )
