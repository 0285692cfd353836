"""RUN/renders + RUN/detector -> RUN/vectors: each object's near positions in all views, found by the detector.

1. Open the manifest and the detector.
2. Distribute the shards over a pool of detectors; each process reads and decodes ahead of its network.
3. Write one table, with the hashes of its inputs in its footer.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, groupby, islice, tee
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from featurelib.datasets.folds import resplit
from featurelib.datasets.schemas import vectors_schema
from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.datasets.shards.png import encode_png
from featurelib.errors import DataError
from featurelib.geometry import Rig
from featurelib.models.detector.detection import LandmarkDetection
from featurelib.models.detector.files import detector_uri, read_network, refuse_final, refuse_other_landmarks
from featurelib.models.detector.model import Detector
from featurelib.models.detector.samples import decode_images
from featurelib.models.inference import Device
from featurelib.models.lifter.vector_rows import COLUMNS, vector_row
from featurelib.models.lifter.vectors import read_config, vectors_uri, write_vectors
from featurelib.runtime.console import print_result
from featurelib.runtime.prefetch import ahead
from featurelib.runtime.progress import Progress, duration
from jobs.vectorize import BATCH, VectorizeConfig
from jobs.workers import cluster
from jobs.workers.block_stream import LOST, block_stream, is_out_of_tries, results, returns_block

MAX_SHARDS_PER_TASK = 8
"""Reading and decoding run ahead of the network within a task, but not from task to task, so large tasks are faster.
The last tasks are small, so that all workers end at the same time (`task_sizes`)."""

TASKS_PER_ACTOR = 2
"""Tasks submitted to an actor at a time. With Ray's four, nearly all were assigned before the first ended."""

READY = "ready_s"
"""A temporary column: the time at which the worker had loaded its detector, in seconds since the epoch."""


@dataclass(frozen=True)
class Pool:
    """The workers of a job: how many, and the CPUs and GPUs of each."""

    workers: int
    cpus: int
    gpus: int


@dataclass(frozen=True)
class VectorRows:
    """The workers' results and times.

    tables: of schemas.vectors_schema. start_s: until a worker had loaded its detector, on average over the workers.
    work_s: from then to the end.
    """

    tables: list[pa.Table]
    start_s: float
    work_s: float

    @property
    def num_objects(self) -> int:
        """The number of rows."""
        return sum(map(len, self.tables))


def run(config: VectorizeConfig) -> None:
    """Write the vectors, if renders or detector are new, and print the rate."""
    manifest = open_renders(config.run, config.projection)
    uri = vectors_uri(config.run, config.projection)
    version = read_network(config.run, config.projection).version
    refuse_other_landmarks(config.run, config.projection, manifest.landmarks)
    refuse_final(config.run, config.projection)
    made_from = {
        "projection": config.projection,
        "renders": manifest.content_hash,
        "detector": version,
        **manifest.landmarks.to_record(),
    }
    if read_config(uri) == made_from:
        print_result(f"{uri}: complete; nothing to do", {"vectors": uri, "done_before": True})
        return
    found = detect_all(config, manifest, version)
    tables = [resplit(table, manifest.splits) for table in found.tables]
    write_vectors(uri, tables, vectors_schema(manifest.landmarks, len(manifest.spec.rig)), made_from)
    rate = found.num_objects * len(manifest.spec.rig) / found.work_s
    print_result(
        f"{uri}: {found.num_objects} objects; start {duration(found.start_s)}, then {rate:.0f} images/s",
        {"vectors": uri, "objects": found.num_objects, "images_per_s": rate},
    )


def detect_all(config: VectorizeConfig, manifest: Manifest, version: str) -> VectorRows:
    """Run the detector of a version over all shards, on the whole cluster."""
    cluster.connect()
    pool = choose_pool(ray.cluster_resources(), len(manifest.shards), config.cpus_per_worker)
    progress = Progress(f"vectorize {config.projection}", sum(manifest.objects.values()), "objects")
    started = time.time()
    coming = iter(manifest.shard_uris)
    blocks = [pa.table({"uri": list(islice(coming, size))}) for size in task_sizes(len(manifest.shards), pool.workers)]
    made_by = {
        "run": config.run,
        "projection": config.projection,
        "version": version,
        "rig": manifest.spec.rig,
        "device": Device(pool.cpus, bool(pool.gpus)),
    }
    tables = block_stream(blocks, slowest_s=0.0).map_batches(
        **_stage(pool, made_by), batch_size=None, batch_format="pyarrow", num_cpus=pool.cpus
    )
    found, ready = [], []
    for table in results(tables):
        ready += table[READY].unique().to_pylist()
        found.append(table.drop_columns(READY))
        progress.add(len(table))
    progress.end()
    start_s = float(np.mean(list(set(ready)))) - started if ready else 0.0
    return VectorRows(found, start_s, time.time() - started - start_s)


def _stage(pool: Pool, made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of map_batches: tasks on all CPUs there are at a time, or an actor for each GPU.

    A process loads the network in 10 ms on a CPU and keeps it.
    """
    if not pool.gpus:
        return {"fn": vectorize_shards, "fn_kwargs": made_by, "compute": ray.data.TaskPoolStrategy()}
    return {
        "fn": ShardVectorizer,
        "fn_constructor_kwargs": made_by,
        "compute": ray.data.ActorPoolStrategy(size=pool.workers, max_tasks_in_flight_per_actor=TASKS_PER_ACTOR),
        "num_gpus": pool.gpus,
    }


def choose_pool(resources: Mapping[str, float], shards: int, cpus_per_worker: int | None = None) -> Pool:
    """Return the workers: one per GPU of the cluster, without GPUs one per CPU.

    One process per CPU is faster than threads: two threads of one network wait for each other after each layer.

    Args:
        resources: the cluster's, as Ray counts them.
        shards: upper limit of the number of workers.
        cpus_per_worker: in place of 1, or of a GPU's equal share of the CPUs.
    """
    all_cpus, all_gpus = (max(0, int(resources.get(name, 0))) for name in ("CPU", "GPU"))
    cpus = cpus_per_worker or max(1, all_cpus // all_gpus if all_gpus else 1)
    workers = min(all_gpus or all_cpus // cpus, shards)
    return Pool(max(1, workers), cpus, 1 if all_gpus else 0)


def task_sizes(shards: int, workers: int) -> list[int]:
    """Return the number of shards of each task, in the order of submission.

    Each task takes one worker's share of half of the remaining shards, at most MAX_SHARDS_PER_TASK and at least one:
    guided self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on Computers C-36(12), 1987).
    """
    sizes: list[int] = []
    while left := shards - sum(sizes):
        sizes.append(max(1, min(MAX_SHARDS_PER_TASK, left // (2 * workers))))
    return sizes


class ShardVectorizer:
    """Runs the detector over whole shards; loads the network once."""

    def __init__(self, run: str, projection: str, version: str, rig: Rig, device: Device) -> None:
        """Load a version of a run's detector, and run it once, which takes 0.6 s longer than later."""
        self.detector = Detector.load(run, projection, device)
        if self.detector.version != version:
            raise DataError(f"{detector_uri(run, projection)}: trained again meanwhile; run the command again")
        self.detector([encode_png(np.zeros((2 * self.detector.input_size,) * 2, np.uint8))] * BATCH)
        self.rig = rig
        self.schema = vectors_schema(self.detector.landmarks, len(rig)).append(pa.field(READY, pa.float64()))
        self.ready_s = time.time()
        self.cpus = device.threads

    @returns_block
    def __call__(self, shards: pa.Table) -> pa.Table:
        """Vectorize the shards of a block."""
        return self.vectorize(shards)

    def vectorize(self, shards: pa.Table) -> pa.Table:
        """Column in: uri of a shard. Columns out: those of schemas.vectors_schema, and READY.

        Raises:
            DataError: if TRIES workers died on these shards.
        """
        if is_out_of_tries():
            raise DataError(f"{shards['uri'][0]}: it or one of {len(shards) - 1} more shards {LOST}")
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(self.cpus) as decoder:
            read = partial(read_views, columns=("png", *COLUMNS))
            rows_read = chain.from_iterable(ahead(reader, read, shards["uri"].to_pylist(), 1))
            coming, views = tee(rows_read)  # the second keeps the rows of the images in the pipeline
            decode = partial(decode_images, size=self.detector.input_size)
            batches = ahead(decoder, decode, batched((view["png"] for view in coming), BATCH), self.cpus + 1)
            found = chain.from_iterable(_by_image(self.detector.find(batch)) for batch in batches)
            objects = groupby(zip(found, views, strict=True), key=lambda pair: pair[1]["object_id"])
            rows = [{**self._row(group), READY: self.ready_s} for _, group in objects]
        return pa.Table.from_pylist(rows, schema=self.schema)

    def _row(self, found: Iterable[tuple[tuple[np.ndarray, ...], dict[str, Any]]]) -> dict[str, Any]:
        """Return an object's row from the detections in its views, which are in rig order."""
        detections, views = zip(*found, strict=True)
        xy, spread, visible = (np.stack(part) for part in zip(*detections, strict=True))
        return vector_row(views, xy, spread, visible, self.detector.landmarks, self.rig)


@returns_block
def vectorize_shards(shards: pa.Table, **made_by: Any) -> pa.Table:
    """Run the detector over whole shards, as ShardVectorizer does, with the one of this process."""
    return _vectorizer(**made_by).vectorize(shards)


@lru_cache(maxsize=1)
def _vectorizer(**made_by: Any) -> ShardVectorizer:
    return ShardVectorizer(**made_by)


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of `size` items; the last may be shorter."""
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


def _by_image(batch: LandmarkDetection) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the detection in each image: positions (k, 2), spreads (k,) and visibility (k,)."""
    return zip(batch.xy, batch.spread, batch.visible, strict=True)
