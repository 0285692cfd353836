"""The training of a refiner on the cluster: one task that trains both stages and calibrates them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray
from ray.util.queue import Queue

from featurelib.datasets.dataset import Dataset, MeshFile
from featurelib.errors import DataError
from featurelib.models.refiner.estimates import FirstEstimates
from featurelib.models.refiner.plan import CropBatch, SamplePlan
from featurelib.models.refiner.refinement import refinement_scores
from featurelib.models.refiner.stages import NUM_STAGES, CropSize, InitialErrors
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel, fit_uncertainty
from featurelib.runtime.prefetch import ahead
from featurelib.runtime.progress import duration
from featurelib.runtime.threads import limit_threads
from jobs.workers import cluster

if TYPE_CHECKING:
    from featurelib.models.refiner.cascade import Samples, ValidationObjects
    from featurelib.models.refiner.refinement import Refined
    from featurelib.models.refiner.refiner import Refiner, Stage
    from featurelib.models.refiner.training import StageProgress

MAX_VALIDATION_CROPS, TRAINING_PER_VALIDATION = 1024, 16
"""Validation crops of a stage, which serve the progress lines only: at most one per 16 training crops, since each is
evaluated REPORTS times. With 1,024 for 3,840 they took a third of the training's time."""

TRAINING_PER_RENDERING = 8
"""Threads that train per thread that renders crops: one core renders as fast as eight train."""

REPORTS = 10
"""Progress lines per stage."""


class ResourceBudget(NamedTuple):
    """What the training occupies: CPUs as Ray counts them, and threads of TensorFlow."""

    cpus: int
    threads: int


def training_budget(cpus: int | None = None) -> ResourceBudget:
    """Return the training's share of the cluster: by default a thread for each CPU of its largest node."""
    if cpus is None:
        return ResourceBudget(cluster.training_cpus(), cluster.largest_node_cpus())
    return ResourceBudget(cpus, max(1, cpus))


@dataclass(frozen=True, kw_only=True, eq=False)
class RefinerTask:
    """What the training task is given.

    name: starts each line of progress. uri: the refiner's folder. dataset, meshes (n,), landmarks_mm (n, 2, 3): of
    training. estimates: of validation objects. crop_size: of the first stage. num_crops, batch_size, learning_rate,
    seed: flags of train-refiner. threads: of TensorFlow. queue: takes lines of progress. networks_uri: folder of a
    refiner whose networks are reused; None if networks are trained.
    """

    name: str
    uri: str
    dataset: Dataset
    meshes: tuple[MeshFile, ...]
    landmarks_mm: NDArray[np.float64]
    estimates: FirstEstimates
    crop_size: CropSize
    num_crops: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int
    queue: Queue
    networks_uri: str | None = None

    @property
    def steps(self) -> int:
        """Steps of each stage."""
        return self.num_crops // self.batch_size

    def plan(self, stage: int, crop_size: CropSize, initial_errors: InitialErrors) -> SamplePlan:
        """Return the training samples of a stage, counted from 0."""
        return SamplePlan(
            self.dataset,
            self.meshes,
            self.landmarks_mm,
            crop_size,
            initial_errors,
            self.batch_size,
            self.steps,
            seed=(self.seed, stage),
        )

    def validation_plan(self, stage: int, crop_size: CropSize, initial_errors: InitialErrors) -> SamplePlan:
        """Return the validation samples of a stage."""
        plan = self.plan(stage, crop_size, initial_errors)
        count = math.ceil(min(MAX_VALIDATION_CROPS, self.num_crops / TRAINING_PER_VALIDATION) / self.batch_size)
        return replace(plan, meshes=self.estimates.meshes, landmarks_mm=self.estimates.truths_mm, num_batches=count)


@ray.remote(max_calls=1)
def fit_refiner(task: RefinerTask) -> dict[str, float]:
    """Train both stages, write the refiner's folder and return the mean error on validation objects by method."""
    limit_threads(task.threads)
    from featurelib.models.refiner.cascade import ValidationObjects, calibrate, held_out_results
    from featurelib.models.refiner.model import load_refiner, save_refiner

    progress, estimates = RefinerProgress(task), task.estimates
    validation = ValidationObjects(
        lambda i: task.dataset.load(estimates.meshes[i]),
        estimates.truths_mm,
        estimates.estimates_mm[estimates.start],
        task.threads,
    )
    if task.networks_uri:
        refiner = calibrate(load_refiner(task.networks_uri).distinct_stages, validation)
    else:
        refiner = _trained(task, validation, progress)
    progress.report("fitting the uncertainty on validation objects")
    results = held_out_results(refiner.distinct_stages, validation)
    errors_mm = np.array([result.landmarks_mm for result in results]) - estimates.truths_mm
    refined_mm = float(np.linalg.norm(errors_mm, axis=-1).mean())
    validation_mm = {**estimates.validation_mm, "refined": refined_mm}
    uncertainty = uncertainty_of(estimates, results, errors_mm)
    save_refiner(
        replace(refiner, start=estimates.start, validation_mm=validation_mm, uncertainty=uncertainty), task.uri
    )
    return validation_mm


def _trained(task: RefinerTask, validation: "ValidationObjects", progress: "RefinerProgress") -> "Refiner":
    from featurelib.models.refiner.cascade import CascadeConfig, train_stages
    from featurelib.models.refiner.training import StageRecipe

    recipe = StageRecipe(
        task.steps,
        task.learning_rate,
        min(100, task.steps // 2),
        report_steps=math.ceil(task.steps / REPORTS),
    )
    return train_stages(
        CascadeConfig(task.crop_size, task.estimates.initial_errors(task.crop_size), recipe, task.seed),
        validation,
        lambda stage, crop_size, initial_errors: _samples(task, progress, stage, crop_size, initial_errors),
        progress.validated,
        progress.finished,
    )


def _samples(
    task: RefinerTask, progress: "RefinerProgress", stage: int, crop_size: CropSize, initial_errors: InitialErrors
) -> "Samples":
    """Return functions that open a stage's samples; the few validation samples are rendered here and kept."""
    from featurelib.models.refiner.cascade import Samples

    plan, for_validation = (make(stage, crop_size, initial_errors) for make in (task.plan, task.validation_plan))
    kept = [d[:2] for part in range(for_validation.num_segments) for d in for_validation.batches(part)]
    passes = itertools.count()

    def train() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        is_empty = True
        for images, xy, skipped in rendered(replace(plan, seed=(*plan.seed, next(passes))), task.threads):
            progress.skipped(skipped)
            is_empty = False
            yield images, xy
        if is_empty:
            raise DataError(
                f"{task.dataset.uri}: none of the meshes of {len(plan.meshes)} training objects can be read; "
                "run `featurelib validate`"
            )

    return Samples(train, lambda: kept)


def rendered(plan: SamplePlan, training_threads: int) -> Iterator[CropBatch]:
    """Yield a plan's batches; threads of this process render the next segments."""
    count = math.ceil(training_threads / TRAINING_PER_RENDERING)
    with ThreadPoolExecutor(count, thread_name_prefix="render") as pool:
        segments = ahead(pool, lambda segment: [*plan.batches(segment)], range(plan.num_segments), count + 1)
        yield from itertools.chain.from_iterable(segments)


def uncertainty_of(
    estimates: FirstEstimates, results: Sequence["Refined"], errors_mm: NDArray[np.float64]
) -> UncertaintyModel:
    """Return the uncertainty of refined landmarks, fitted to their errors (n, 2, 3) on validation objects."""
    rows = zip(
        estimates.quality_scores,
        results,
        estimates.estimates_mm[estimates.start],
        estimates.estimates_mm["template"],
        strict=True,
    )
    scores = [
        {
            **of_object,
            **refinement_scores(result, first_mm),
            **quality.disagreement_scores(result.landmarks_mm, template_mm),
        }
        for of_object, result, first_mm, template_mm in rows
    ]
    return fit_uncertainty(errors_mm, np.array([result.covariance_mm2 for result in results]), scores)


class RefinerProgress:
    """Sends the progress of a training to the user's terminal."""

    def __init__(self, task: RefinerTask) -> None:
        """Report the progress of this task, through its queue."""
        self.task = task
        self.reasons: set[str] = set()

    def report(self, line: str) -> None:
        """Send one line."""
        self.task.queue.put(f"{self.task.name}: {line}")

    def skipped(self, reasons: list[str]) -> None:
        """Report each reason for which a mesh was skipped, once."""
        for reason in set(reasons) - self.reasons:
            self.reasons.add(reason)
            self.report(f"skipped object {len(self.reasons)}: {reason}")

    def validated(self, stage: int, crop_size: CropSize, row: "StageProgress") -> None:
        """Report a validation of a stage's network."""
        steps, size = self.task.steps, self.task.batch_size
        left_s = row.seconds * (steps / row.step * (NUM_STAGES - stage) - 1)
        error_mm = row.val_error_pct / 100 * crop_size.width_mm
        self.report(
            f"stage {stage + 1}/{NUM_STAGES}: {row.step * size}/{steps * size} crops, {row.images_per_s:.0f} "
            f"crops/s, validation {error_mm:.2f} mm in the image, about {duration(left_s)} left"
        )

    def finished(self, stage: int, trained: "Stage", error_mm: float) -> None:
        """Report the error that a trained stage leaves on validation objects."""
        crop = f"crops of {trained.crop_size.width_mm:.1f} mm"
        self.report(f"stage {stage + 1}/{NUM_STAGES}, {crop}: {error_mm:.2f} mm left on validation objects")
