"""The two stages of `predict`, a stream of Ray Data in which each block is one output part.

1. `prepare` (jobs/workers/prepare.py): a sandboxed process loads and hashes each mesh, renders its views and registers
   the mean shape.
2. `PartPredictor`: the detector takes all images of the part, then each object is refined, and one PUT writes the part.

On CPUs one task does both: the networks take 10 ms to load, and each process keeps them. On GPUs the second stage has
actors, which keep them on their GPU. Each stage takes about half of an object's CPU time: 0.23 s and 0.27 s on heads of
34,000 faces.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa
import ray
from numpy.typing import NDArray

from featurelib.datasets.shards.sandboxed import PreparedMesh
from featurelib.errors import FeaturelibError
from featurelib.models.detector.model import Detector
from featurelib.models.inference import ONE_THREAD, Device
from featurelib.models.prediction_parts import PartPlan, PartReceipt, parts_uri, write_part
from featurelib.models.predictions import Detection, Failure, failure_rows, prediction_rows
from featurelib.models.predictor import Predictor
from featurelib.runtime import storage
from jobs.workers import cluster
from jobs.workers.block_stream import (
    LOST,
    block_stream,
    is_out_of_tries,
    job_block,
    result_of,
    results,
    returns_block,
    slowest_block_s,
)
from jobs.workers.prepare import Models, Predicting, PreparedPart, prepare

TASK_CPUS = 0.75
"""Of a task that does both stages. It uses one CPU; a quarter less is reserved, so that two run on two CPUs although a
server's replicas reserve a little of the same machine."""

PREPARE_CPUS, PREDICT_CPUS = 0.25, 0.5
"""Of a task that prepares and an actor that predicts on a GPU; the objects determine how the two share a CPU."""


class MadePart(NamedTuple):
    """A part's receipt, and the content tags of its objects by id."""

    receipt: PartReceipt
    tags: Mapping[str, str | None]


def part_stream(
    predicting: Predicting, parts: Sequence[tuple[PartPlan, Sequence[str]]], workers: int | None = None, gpus: float = 0
) -> Iterator[MadePart]:
    """Make parts on the cluster, and yield what was made in the order of completion.

    Args:
        predicting: what the tasks share.
        parts: each with the names of the existing parts of its bucket; one may hold this very content.
        workers: most tasks at a time, on GPUs the number of actors; default: as many as the cluster has CPUs (at that
            time), on GPUs at the start.
        gpus: share of a GPU for each actor; 0 for networks on CPUs.
    """
    largest = max((len(part.objects) for part, _ in parts), default=0)
    blocks = [job_block(part.objects, bucket=part.bucket, existing=list(existing)) for part, existing in parts]
    stream = block_stream(blocks, slowest_block_s(largest, predicting.limits))
    tasks = {
        "batch_size": None,
        "batch_format": "pyarrow",
        "fn_kwargs": {"predicting": predicting},
        "compute": ray.data.TaskPoolStrategy(size=workers),
        "label_selector": cluster.off_gpu_nodes(),
    }
    if not gpus:
        return results(stream.map_batches(make_part, num_cpus=TASK_CPUS, **tasks))
    actors = workers or max(1, int(ray.cluster_resources().get("GPU", 0) / gpus))
    prepared = stream.map_batches(prepare_part, num_cpus=PREPARE_CPUS, **tasks)
    made = prepared.map_batches(
        PartPredictor,
        fn_constructor_args=(predicting.models, predicting.out, Device(gpu=True)),
        batch_size=None,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
        num_cpus=PREDICT_CPUS,
        num_gpus=gpus,
    )
    return results(made)


@returns_block
def make_part(block: pa.Table, predicting: Predicting) -> MadePart:
    """Make the part of a block's job in one process."""
    return _part_predictor(predicting.models, predicting.out).make(prepare(block, predicting))


@returns_block
def prepare_part(block: pa.Table, predicting: Predicting) -> PreparedPart:
    """Prepare the part of a block's job for an actor of the second stage."""
    return prepare(block, predicting)


class PartPredictor:
    """Holds a run's networks and makes whole parts."""

    def __init__(self, models: Models, out: str, device: Device = ONE_THREAD) -> None:
        """Load the networks, to be run by a device; parts are written to the folder `out`."""
        self.spec, self.names, self.out = models.spec, models.landmarks.names, out
        self.detector = Detector.load(models.run, models.spec.projection, device)
        self.predictor = Predictor.load(models.run, models.spec.projection, models.spec, models.landmarks, device)

    @returns_block
    def __call__(self, block: Mapping[str, NDArray]) -> MadePart:
        """Make the part of a block of prepare_part."""
        prepared = result_of({name: column[0] for name, column in block.items()})
        return self.reject(prepared) if is_out_of_tries() and not prepared.receipt else self.make(prepared)

    def make(self, part: PreparedPart) -> MadePart:
        """Write a part's predictions, unless it exists."""
        if part.receipt:
            return MadePart(part.receipt, part.tags)
        detections = self.detect([each for each in part.objects.values() if isinstance(each, PreparedMesh)])
        rows = (
            self._rows(object_id, each, next(detections))
            if isinstance(each, PreparedMesh)
            else failure_rows(object_id, each, self.names)
            for object_id, each in part.objects.items()
        )
        return self._written(part, rows)

    def reject(self, part: PreparedPart) -> MadePart:
        """Write a part without predictions, because it ended its worker each time."""
        failure = Failure("process", f"one of the {len(part.objects)} objects of its part {LOST}")
        return self._written(part, (failure_rows(object_id, failure, self.names) for object_id in part.objects))

    def detect(self, meshes: Sequence[PreparedMesh]) -> Iterator[Detection]:
        """Yield the detection of each object; the detector runs once for all."""
        found = self.detector([png for mesh in meshes for png in mesh.pngs])
        num_views = len(self.spec.rig)
        for i in range(0, len(found.xy), num_views):
            yield Detection(found.xy[i : i + num_views], found.visible[i : i + num_views])

    def _rows(self, object_id: str, prepared: PreparedMesh, detection: Detection) -> list[dict[str, Any]]:
        """Return the rows of an object's landmarks."""
        try:
            prediction = self.predictor(prepared.mesh, detection, prepared.located)
        except FeaturelibError as error:
            return failure_rows(object_id, Failure("find", str(error)), self.names)
        return prediction_rows(object_id, prediction, self.names, prepared.object_from_source)

    def _written(self, part: PreparedPart, rows: Iterable[list[dict[str, Any]]]) -> MadePart:
        """Write the rows of a part's objects."""
        receipt = write_part(storage.join(parts_uri(self.out), part.name), list(chain.from_iterable(rows)))
        return MadePart(receipt, part.tags)


@lru_cache(maxsize=1)
def _part_predictor(models: Models, out: str) -> PartPredictor:
    return PartPredictor(models, out)
