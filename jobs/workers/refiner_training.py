"""The training of a refiner's looks: one task that trains, and a Ray Data stream that draws its close-ups meanwhile.

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
from featurelib.models.refiner.plan import Drawn, SamplePlan
from featurelib.models.refiner.refinement import quality_scores
from featurelib.models.refiner.stages import NETWORKS, NUM_LOOKS, Frame, Starts
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import Claims, learn_claims
from featurelib.runtime.progress import duration
from featurelib.runtime.threads import bound_tensorflow
from jobs.workers import cluster

if TYPE_CHECKING:
    from featurelib.models.refiner.cascade import Samples, UnseenObjects
    from featurelib.models.refiner.refinement import Refined
    from featurelib.models.refiner.refiner import Look, Refiner
    from featurelib.models.refiner.training import LookProgress

VALIDATION_PICTURES = 1024
"""At most; for the curve only."""

REPORTS = 10
"""Lines of progress of a look."""


class Room(NamedTuple):
    """What the training takes: CPUs as Ray counts them, and threads of TensorFlow."""

    cpus: int
    threads: int


def training_room(cpus: int | None = None) -> Room:
    """Return the room of the training: the largest node's CPUs, but one of the cluster's is left for drawing.

    A core draws as fast as eight train, so on a small machine the training also uses what the drawing leaves idle.
    """
    if cpus is not None:
        return Room(cpus, max(1, cpus))
    node = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    return Room(min(node, cluster.num_cpus() - 1), max(1, node))


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """What the training task is told.

    name: of its lines. uri: the refiner's folder. dataset, meshes (n,), pairs_mm (n, 2, 3): training objects.
    estimates: of validation objects. frame: of the first look. pictures, batch_size, rate, seed: of the config.
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
    pictures: int
    batch_size: int
    rate: float
    seed: int
    threads: int
    lines: Queue
    networks_uri: str | None = None

    @property
    def steps(self) -> int:
        """Steps of a look."""
        return self.pictures // self.batch_size

    def plan(self, look: int, frame: Frame, starts: Starts) -> SamplePlan:
        """Return the training samples of a look, counted from 0."""
        seed = (self.seed, look)
        return SamplePlan(self.dataset, self.meshes, self.pairs_mm, frame, starts, self.batch_size, self.steps, seed)

    def validation_plan(self, look: int, frame: Frame, starts: Starts) -> SamplePlan:
        """Return the samples of validation objects."""
        plan = self.plan(look, frame, starts)
        count = math.ceil(min(VALIDATION_PICTURES, self.pictures) / self.batch_size)
        return replace(plan, meshes=self.estimates.meshes, pairs_mm=self.estimates.truths_mm, num_batches=count)


def sample_stream(plan: SamplePlan) -> ray.data.Dataset:
    """Return the plan's samples; a block is a batch.

    Columns: picture (s, s, 3) uint8, xy (2,) float32, and skipped: reasons, one a line, the same in all of a batch.
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
        yield {"picture": drawn.pictures, "xy": drawn.xy, "skipped": reasons}


def batches_of(plan: SamplePlan) -> Iterator[Drawn]:
    """Yield the plan's batches, drawn on the cluster."""
    cluster.connect_for_data()
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    for block in sample_stream(plan).iter_batches(batch_size=None, prefetch_batches=4):
        yield Drawn(block["picture"], block["xy"], str(block["skipped"][0]).splitlines())


@ray.remote(max_calls=1)
def fit_refiner(training: Training) -> dict[str, float]:
    """Train both looks, write the refiner's folder and return its mean error on validation objects by method."""
    bound_tensorflow(training.threads, branches=NETWORKS)
    from featurelib.models.refiner.cascade import UnseenObjects, calibrated, held_out_answers
    from featurelib.models.refiner.model import load_refiner, save_refiner

    lines, estimates = LookLines(training), training.estimates
    unseen = UnseenObjects(
        lambda i: training.dataset.load(estimates.meshes[i]),
        estimates.truths_mm,
        estimates.pairs_mm[estimates.start],
        training.threads,
    )
    if training.networks_uri:
        refiner = calibrated(load_refiner(training.networks_uri).distinct_looks, unseen)
    else:
        refiner = _trained(training, unseen, lines)
    lines.claims()
    answers = held_out_answers(refiner.distinct_looks, unseen)
    errors_mm = np.array([answer.pair_mm for answer in answers]) - estimates.truths_mm
    refined_mm = float(np.linalg.norm(errors_mm, axis=-1).mean())
    validation_mm = {**estimates.validation_mm, "refined": refined_mm}
    claims = claims_of(estimates, answers, errors_mm)
    save_refiner(replace(refiner, start=estimates.start, validation_mm=validation_mm, claims=claims), training.uri)
    return validation_mm


def _trained(training: Training, unseen: "UnseenObjects", lines: "LookLines") -> "Refiner":
    from featurelib.models.refiner.cascade import Course, train_looks
    from featurelib.models.refiner.training import LookRecipe

    recipe = LookRecipe(
        training.steps, training.rate, min(100, training.steps // 2), report_steps=math.ceil(training.steps / REPORTS)
    )
    return train_looks(
        Course(training.frame, training.estimates.starts(training.frame), recipe, training.seed),
        unseen,
        lambda look, frame, starts: _samples(training, lines, look, frame, starts),
        lines.progress,
        lines.look,
    )


def claims_of(estimates: FirstEstimates, answers: Sequence["Refined"], errors_mm: NDArray[np.float64]) -> Claims:
    """Return what may be claimed of answers to first estimates of unseen objects that are off by errors (n, 2, 3)."""
    whole = zip(
        estimates.evidence, answers, estimates.pairs_mm[estimates.start], estimates.pairs_mm["template"], strict=True
    )
    against = [
        {**of_object, **quality_scores(answer, start), **quality.of_disagreement(answer.pair_mm, located)}
        for of_object, answer, start, located in whole
    ]
    return learn_claims(errors_mm, np.array([answer.covariance_mm2 for answer in answers]), against)


def _samples(training: Training, lines: "LookLines", look: int, frame: Frame, starts: Starts) -> "Samples":
    """Return what opens a look's samples. The validation samples, which are few, are drawn here and kept."""
    from featurelib.models.refiner.cascade import Samples

    plan, for_validation = training.plan(look, frame, starts), training.validation_plan(look, frame, starts)
    kept = [d[:2] for part in range(for_validation.num_segments) for d in for_validation.batches(part)]
    passes = itertools.count()

    def train() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        found = False
        for pictures, xy, skipped in batches_of(replace(plan, seed=(*plan.seed, next(passes)))):
            lines.skip(skipped)
            found = True
            yield pictures, xy
        if not found:
            raise DataError(f"{training.dataset.uri}: no mesh of the {len(plan.meshes)} training objects can be read")

    return Samples(train, lambda: kept)


class LookLines:
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

    def progress(self, look: int, frame: Frame, row: "LookProgress") -> None:
        """Say where a look stands."""
        steps, size = self.training.steps, self.training.batch_size
        left_s = row.seconds * (steps / row.step * (NUM_LOOKS - look) - 1)
        error_mm = row.val_error_pct / 100 * frame.width_mm
        self._say(
            f"look {look + 1}/{NUM_LOOKS}: {row.step * size}/{steps * size} pictures, {row.pictures_per_s:.0f} "
            f"pictures/s, validation {error_mm:.2f} mm in the picture, about {duration(left_s)} left"
        )

    def look(self, look: int, trained: "Look", error_mm: float) -> None:
        """Say what a look leaves on validation objects."""
        frame = f"a frame of {trained.frame.width_mm:.1f} mm"
        self._say(f"look {look + 1}/{NUM_LOOKS}, {frame}: leaves {error_mm:.2f} mm on validation objects")

    def claims(self) -> None:
        """Say what is left to do."""
        self._say("asking validation objects what may be claimed")

    def _say(self, line: str) -> None:
        self.training.lines.put(f"{self.training.name}: {line}")
