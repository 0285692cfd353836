"""The training of a refiner on the cluster: one task that trains both stages and calibrates them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, canonical
from featurelib.models.refiner.estimates import FirstEstimates
from featurelib.models.refiner.plan import CropBatch, SamplePlan
from featurelib.models.refiner.presence import Presence
from featurelib.models.refiner.refinement import refinement_scores
from featurelib.models.refiner.samples import Labels
from featurelib.models.refiner.stages import NUM_STAGES, CropSize
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel, fit_uncertainty
from featurelib.runtime.prefetch import ahead
from featurelib.runtime.progress import duration
from featurelib.runtime.threads import limit_threads
from jobs.workers import cluster
from jobs.workers.refiner_task import CONTINUED_RATE, RefinerTask

if TYPE_CHECKING:
    from featurelib.models.refiner.cascade import Samples
    from featurelib.models.refiner.readings import Stage
    from featurelib.models.refiner.refinement import Refined
    from featurelib.models.refiner.refiner import Refiner
    from featurelib.models.refiner.training import StageProgress
    from featurelib.models.refiner.validation_objects import ValidationObjects

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


@ray.remote(max_calls=1)
def fit_refiner(task: RefinerTask) -> dict[str, float]:
    """Train both stages, write the refiner's folder and return the mean error on validation objects by method."""
    limit_threads(task.threads)
    from featurelib.models.refiner.cascade import calibrate, held_out_results
    from featurelib.models.refiner.model import load_refiner, save_refiner
    from featurelib.models.refiner.validation_objects import ValidationObjects

    progress, estimates = RefinerProgress(task), task.estimates
    networks = {
        uri: tuple(stage.network for stage in load_refiner(uri).distinct_stages) for uri in {*estimates.refiners}
    }
    validation = ValidationObjects(
        lambda i: task.dataset.load(estimates.meshes[i]),
        task.anatomy(),
        estimates.truths_mm,
        estimates.estimates_mm[estimates.start],
        task.threads,
        tuple(networks[uri] for uri in estimates.refiners),
    )
    if task.networks_uri:
        refiner = calibrate(load_refiner(task.networks_uri).distinct_stages, validation)
    else:
        refiner = _trained(task, validation, progress)
    progress.report("fitting the uncertainty on validation objects")
    results = held_out_results(refiner.distinct_stages, validation)
    errors_mm = np.array([result.landmarks_mm for result in results]) - estimates.truths_mm
    refined_mm = float(np.nanmean(np.linalg.norm(errors_mm, axis=-1)))
    validation_mm = {**estimates.validation_mm, "refined": refined_mm}
    refiner = replace(
        refiner,
        start=estimates.start,
        validation_mm=validation_mm,
        uncertainty=uncertainty_of(task.landmarks, estimates, results, errors_mm),
        presence=presence_of(estimates, results) if validation.anatomy.has_absent else None,
    )
    save_refiner(refiner, task.uri)
    return validation_mm


def _trained(task: RefinerTask, validation: "ValidationObjects", progress: "RefinerProgress") -> "Refiner":
    from featurelib.models.refiner.cascade import CascadeConfig, train_stages
    from featurelib.models.refiner.model import load_refiner
    from featurelib.models.refiner.training import StageRecipe

    recipe = StageRecipe(
        task.steps,
        task.learning_rate * (CONTINUED_RATE if task.start_uri else 1),
        min(100, task.steps // 2),
        report_steps=math.ceil(task.steps / REPORTS),
    )
    return train_stages(
        CascadeConfig(
            task.crop_size,
            task.estimates.initial_errors(task.crop_size),
            recipe,
            task.seed,
            load_refiner(task.start_uri).distinct_stages if task.start_uri else (),
        ),
        validation,
        lambda *stage: _samples(task, progress, task.plan(validation.anatomy, *stage)),
        progress.validated,
        progress.finished,
    )


def _samples(task: RefinerTask, progress: "RefinerProgress", plan: SamplePlan) -> "Samples":
    """Return functions that open a stage's samples; the few validation samples are rendered here and kept."""
    from featurelib.models.refiner.cascade import Samples

    for_validation = task.validation_plan(plan)
    kept = [d[:2] for part in range(for_validation.num_segments) for d in for_validation.batches(part)]
    passes = itertools.count()

    def train() -> Iterator[tuple[NDArray[np.uint8], Labels]]:
        is_empty = True
        for images, labels, skipped in rendered(replace(plan, seed=(*plan.seed, next(passes))), task.threads):
            progress.skipped(skipped)
            is_empty = False
            yield images, labels
        if is_empty:
            raise DataError(
                f"{task.dataset.uri}: none of the meshes of {len(plan.meshes)} training objects can be read and has a "
                "label; run `featurelib validate`"
            )

    return Samples(train, lambda: kept)


def rendered(plan: SamplePlan, training_threads: int) -> Iterator[CropBatch]:
    """Yield a plan's batches; threads of this process render the next segments."""
    count = math.ceil(training_threads / TRAINING_PER_RENDERING)
    with ThreadPoolExecutor(count, thread_name_prefix="render") as pool:
        segments = ahead(pool, lambda segment: [*plan.batches(segment)], range(plan.num_segments), count + 1)
        yield from itertools.chain.from_iterable(segments)


def presence_of(estimates: FirstEstimates, results: Sequence["Refined"]) -> Presence:
    """Return the presence of landmarks, fitted to the results on validation objects; unlabelled ones do not count."""
    logits = np.array([result.presence_logits for result in results])
    is_present = np.asarray(np.isfinite(estimates.truths_mm).all(axis=-1))
    known = is_present | estimates.absent
    return Presence.fit(logits[known], is_present[known])


def uncertainty_of(
    landmarks: LandmarkSet, estimates: FirstEstimates, results: Sequence["Refined"], errors_mm: NDArray[np.float64]
) -> UncertaintyModel:
    """Return the uncertainty of refined landmarks, fitted to their errors (n, k, 3) on validation objects."""
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
    covariances_mm2 = np.array([result.covariance_mm2 for result in results])
    return fit_uncertainty(errors_mm, covariances_mm2, scores, canonical(landmarks).channel)


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
