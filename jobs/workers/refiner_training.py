"""The training of a refiner's stages: one task that trains, and a Ray Data stream that draws its crops meanwhile.

A block of the stream is one batch, so nothing is batched again, and blocks come in the order of their plan: the same
seed gives the same batches whatever the cluster.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray
from ray.util.queue import Queue

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.errors import DataError
from featurelib.models.refiner.estimates import FirstEstimates
from featurelib.models.refiner.plan import CropBatch, SamplePlan
from featurelib.models.refiner.refinement import refinement_scores
from featurelib.models.refiner.stages import NETWORKS, NUM_STAGES, Frame, InitialErrors
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel, fit_uncertainty
from featurelib.runtime.progress import duration
from featurelib.runtime.threads import limit_threads
from jobs.workers import cluster

if TYPE_CHECKING:
    from featurelib.models.refiner.cascade import Samples, ValidationObjects
    from featurelib.models.refiner.refinement import Refined
    from featurelib.models.refiner.refiner import Refiner, Stage
    from featurelib.models.refiner.training import StageProgress

VALIDATION_PICTURES = 1024
"""At most; for the curve only."""

REPORTS = 10
"""Lines of progress of a stage."""


class ResourceBudget(NamedTuple):
    """What the training takes: CPUs as Ray counts them, and threads of TensorFlow."""

    cpus: int
    threads: int


def training_budget(cpus: int | None = None) -> ResourceBudget:
    """Return the room of the training: the largest node's CPUs, but one of the cluster's is left for drawing.

    A core draws as fast as eight train, so on a small machine the training also uses what the drawing leaves idle.
    """
    if cpus is not None:
        return ResourceBudget(cpus, max(1, cpus))
    node = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    return ResourceBudget(min(node, cluster.num_cpus() - 1), max(1, node))


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """What the training task is told.

    name: of its lines. uri: the refiner's folder. dataset, meshes (n,), pairs_mm (n, 2, 3): training objects.
    estimates: of validation objects. frame: of the first stage. images, batch_size, learning_rate, seed: of the config.
    threads: of TensorFlow. lines: takes progress for the user's terminal. networks_uri: a refiner's folder, whose
    networks are taken as they are; None if they are to be trained.
    """

    name: str
    uri: str
    dataset: Dataset
    meshes: tuple[MeshFile, ...]
    pairs_mm: NDArray[np.float64]
    estimates: FirstEstimates
    frame: Frame
    images: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int
    lines: Queue
    networks_uri: str | None = None

    @property
    def steps(self) -> int:
        """Steps of a stage."""
        return self.images // self.batch_size

    def plan(self, stage: int, frame: Frame, starts: InitialErrors) -> SamplePlan:
        """Return the training samples of a stage, counted from 0."""
        seed = (self.seed, stage)
        return SamplePlan(self.dataset, self.meshes, self.pairs_mm, frame, starts, self.batch_size, self.steps, seed)

    def validation_plan(self, stage: int, frame: Frame, starts: InitialErrors) -> SamplePlan:
        """Return the samples of validation objects."""
        plan = self.plan(stage, frame, starts)
        count = math.ceil(min(VALIDATION_PICTURES, self.images) / self.batch_size)
        return replace(plan, meshes=self.estimates.meshes, pairs_mm=self.estimates.truths_mm, num_batches=count)


def sample_stream(plan: SamplePlan) -> ray.data.Dataset:
    """Return the plan's samples; a block is a batch.

    Columns: image (s, s, 3) uint8, xy (2,) float32, and skipped: reasons, one a line, the same in all of a batch.
    """
    return (
        ray.data.range(plan.num_segments, override_num_blocks=plan.num_segments)
        .map_batches(_draw_segment, batch_size=1, fn_kwargs={"plan": plan})
        .repartition(target_num_rows_per_block=plan.batch_size)
    )


def _draw_segment(batch: dict[str, NDArray], plan: SamplePlan) -> Iterator[dict[str, Any]]:
    """Column in: id of a segment, one row. Columns out: as of sample_stream."""
    for drawn in plan.batches(int(batch["id"][0])):
        reasons = np.full(len(drawn.xy), "\n".join(drawn.skipped))
        yield {"image": drawn.images, "xy": drawn.xy, "skipped": reasons}


def batches_of(plan: SamplePlan) -> Iterator[CropBatch]:
    """Yield the plan's batches, drawn on the cluster."""
    cluster.connect_for_data()
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    for block in sample_stream(plan).iter_batches(batch_size=None, prefetch_batches=4):
        yield CropBatch(block["image"], block["xy"], str(block["skipped"][0]).splitlines())


@ray.remote(max_calls=1)
def fit_refiner(training: Training) -> dict[str, float]:
    """Train both stages, write the refiner's folder and return its mean error on validation objects by method."""
    limit_threads(training.threads, branches=NETWORKS)
    from featurelib.models.refiner.cascade import ValidationObjects, calibrated, held_out_answers
    from featurelib.models.refiner.model import load_refiner, save_refiner

    lines, estimates = StageProgressQueue(training), training.estimates
    unseen = ValidationObjects(
        lambda i: training.dataset.load(estimates.meshes[i]),
        estimates.truths_mm,
        estimates.pairs_mm[estimates.start],
        training.threads,
    )
    if training.networks_uri:
        refiner = calibrated(load_refiner(training.networks_uri).distinct_stages, unseen)
    else:
        refiner = _trained(training, unseen, lines)
    lines.uncertainty()
    answers = held_out_answers(refiner.distinct_stages, unseen)
    errors_mm = np.array([answer.pair_mm for answer in answers]) - estimates.truths_mm
    refined_mm = float(np.linalg.norm(errors_mm, axis=-1).mean())
    validation_mm = {**estimates.validation_mm, "refined": refined_mm}
    uncertainty = uncertainty_of(estimates, answers, errors_mm)
    save_refiner(
        replace(refiner, start=estimates.start, validation_mm=validation_mm, uncertainty=uncertainty), training.uri
    )
    return validation_mm


def _trained(training: Training, unseen: "ValidationObjects", lines: "StageProgressQueue") -> "Refiner":
    from featurelib.models.refiner.cascade import CascadeConfig, train_stages
    from featurelib.models.refiner.training import StageRecipe

    recipe = StageRecipe(
        training.steps,
        training.learning_rate,
        min(100, training.steps // 2),
        report_steps=math.ceil(training.steps / REPORTS),
    )
    return train_stages(
        CascadeConfig(training.frame, training.estimates.starts(training.frame), recipe, training.seed),
        unseen,
        lambda stage, frame, starts: _samples(training, lines, stage, frame, starts),
        lines.progress,
        lines.stage,
    )


def uncertainty_of(
    estimates: FirstEstimates, answers: Sequence["Refined"], errors_mm: NDArray[np.float64]
) -> UncertaintyModel:
    """Return what may be claimed of answers to first estimates of unseen objects that are off by errors (n, 2, 3)."""
    whole = zip(
        estimates.quality_scores,
        answers,
        estimates.pairs_mm[estimates.start],
        estimates.pairs_mm["template"],
        strict=True,
    )
    against = [
        {**of_object, **refinement_scores(answer, start), **quality.disagreement_scores(answer.pair_mm, located)}
        for of_object, answer, start, located in whole
    ]
    return fit_uncertainty(errors_mm, np.array([answer.covariance_mm2 for answer in answers]), against)


def _samples(
    training: Training, lines: "StageProgressQueue", stage: int, frame: Frame, starts: InitialErrors
) -> "Samples":
    """Return what opens a stage's samples. The validation samples, which are few, are drawn here and kept."""
    from featurelib.models.refiner.cascade import Samples

    plan, for_validation = training.plan(stage, frame, starts), training.validation_plan(stage, frame, starts)
    kept = [d[:2] for part in range(for_validation.num_segments) for d in for_validation.batches(part)]
    passes = itertools.count()

    def train() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        found = False
        for images, xy, skipped in batches_of(replace(plan, seed=(*plan.seed, next(passes)))):
            lines.skip(skipped)
            found = True
            yield images, xy
        if not found:
            raise DataError(f"{training.dataset.uri}: no mesh of the {len(plan.meshes)} training objects can be read")

    return Samples(train, lambda: kept)


class StageProgressQueue:
    """Tells the user how the training goes."""

    def __init__(self, training: Training) -> None:
        """Tell of this training, through its lines."""
        self.training = training
        self.skipped: set[str] = set()

    def skip(self, reasons: list[str]) -> None:
        """Say each reason for which a mesh was skipped once."""
        for reason in set(reasons) - self.skipped:
            self.skipped.add(reason)
            self._say(f"skipped object {len(self.skipped)}: {reason}")

    def progress(self, stage: int, frame: Frame, row: "StageProgress") -> None:
        """Say where a stage stands."""
        steps, size = self.training.steps, self.training.batch_size
        left_s = row.seconds * (steps / row.step * (NUM_STAGES - stage) - 1)
        error_mm = row.val_error_pct / 100 * frame.width_mm
        self._say(
            f"stage {stage + 1}/{NUM_STAGES}: {row.step * size}/{steps * size} images, {row.images_per_s:.0f} "
            f"images/s, validation {error_mm:.2f} mm in the image, about {duration(left_s)} left"
        )

    def stage(self, stage: int, trained: "Stage", error_mm: float) -> None:
        """Say what a stage leaves on validation objects."""
        frame = f"a frame of {trained.frame.width_mm:.1f} mm"
        self._say(f"stage {stage + 1}/{NUM_STAGES}, {frame}: leaves {error_mm:.2f} mm on validation objects")

    def uncertainty(self) -> None:
        """Say what is left to do."""
        self._say("asking validation objects what may be claimed")

    def _say(self, line: str) -> None:
        self.training.lines.put(f"{self.training.name}: {line}")
