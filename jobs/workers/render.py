"""Tasks of the render job: the shards of one bucket, from mesh files to receipts.

A sandboxed process reads, hashes and loads each mesh once and renders it in all projections; a mesh that ends the
process is rejected. A shard is named after the content that was rendered, so a mesh that changes in the meantime gives
a shard with another name. Each shard is written with one PUT. Images never travel through Ray.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import pyarrow as pa
import ray
from ray.util.metrics import Counter

from featurelib.datasets.content_tags import content_tag, sha256_of_file, with_content_tags, with_tags
from featurelib.datasets.dataset import Dataset
from featurelib.datasets.shards import Receipt, RenderSpec, read_receipt, shard_names, write_shard
from featurelib.datasets.shards.sandboxed import ObjectJob, RenderedObject, reject, render_object
from featurelib.runtime import storage
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits, shared_sandbox
from jobs.workers import cluster
from jobs.workers.block_stream import (
    LOST,
    block_stream,
    is_out_of_tries,
    job_block,
    job_of,
    results,
    returns_block,
    slowest_block_s,
)


@dataclass(frozen=True, eq=False)
class Rendering:
    """What all tasks of a rendering share: the dataset, without objects, and by projection the folders and specs."""

    dataset: Dataset
    folders: Mapping[str, str]
    specs: Mapping[str, RenderSpec]
    limits: SandboxLimits


@dataclass(frozen=True, eq=False)
class ShardJob:
    """The shards of one bucket that are not known to exist.

    objects: of the bucket, rows of schemas.objects_schema. missing: the projections whose planned shard does not exist.
    existing: names of the bucket's shards in the folders; one may hold this very content.
    """

    bucket: int
    objects: pa.Table
    missing: Sequence[str]
    existing: Sequence[str]

    def to_block(self) -> pa.Table:
        """Return the job as a block."""
        return job_block(self.objects, bucket=self.bucket, missing=self.missing, existing=self.existing)

    @classmethod
    def from_block(cls, block: pa.Table) -> Self:
        """Return the job of a block."""
        objects, values = job_of(block)
        return cls(objects=objects, **values)


class MadeShards(NamedTuple):
    """The receipts of a bucket by projection, and the content tags of its objects by id."""

    receipts: Mapping[str, Receipt]
    tags: Mapping[str, str | None]


def shard_stream(
    rendering: Rendering, jobs: Sequence[ShardJob], workers: int | None = None, gpus: float = 0.0
) -> Iterator[MadeShards]:
    """Make shards on the cluster, and yield what was made in the order of completion.

    Args:
        rendering: what the jobs share.
        jobs: one per bucket.
        workers: most tasks at a time; default: as many as the cluster has CPUs at that time.
        gpus: share of a GPU for each task.
    """
    largest = max((len(job.objects) for job in jobs), default=0)
    stream = block_stream([job.to_block() for job in jobs], slowest_block_s(largest, rendering.limits)).map_batches(
        make_shards,
        fn_kwargs={"rendering": rendering},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=gpus or None,
        label_selector=None if gpus else cluster.off_gpu_nodes(),
    )
    return results(stream)


@returns_block
def make_shards(block: pa.Table, rendering: Rendering) -> MadeShards:
    """Make the shards of a block's job that do not exist."""
    job = ShardJob.from_block(block)
    return reject_all(rendering, job) if is_out_of_tries() else _make(rendering, job)


def _make(rendering: Rendering, job: ShardJob) -> MadeShards:
    planned, receipts = replace(rendering.dataset, objects=job.objects), dict[str, Receipt]()
    dataset = planned
    if job.existing:
        dataset = with_content_tags(dataset)
        receipts = _read_receipts(rendering, job, dataset)
    missing = [p for p in job.missing if p not in receipts]
    if missing:
        objects = _object_jobs(planned, {p: rendering.specs[p] for p in missing})
        rendered = _render(objects, rendering.limits)
        dataset = _as_rendered(planned, objects, rendered)
        receipts |= _write_shards(rendering, job.bucket, dataset, missing, rendered)
    return _made(dataset, receipts)


def reject_all(rendering: Rendering, job: ShardJob) -> MadeShards:
    """Write the shards of a bucket with all its objects rejected, because it ended its worker each time."""
    planned = replace(rendering.dataset, objects=job.objects)
    objects = _object_jobs(planned, {p: rendering.specs[p] for p in job.missing})
    rejected = [_lost(each, f"one of the {len(objects)} objects of its shard {LOST}") for each in objects]
    dataset = _as_rendered(planned, objects, rejected)
    return _made(dataset, _write_shards(rendering, job.bucket, dataset, job.missing, rejected))


def _made(dataset: Dataset, receipts: Mapping[str, Receipt]) -> MadeShards:
    ids, tags = (dataset.objects[name].to_pylist() for name in ("object_id", "mesh_tag"))
    return MadeShards(receipts, dict(zip(ids, tags, strict=True)))


def _read_receipts(rendering: Rendering, job: ShardJob, dataset: Dataset) -> dict[str, Receipt]:
    """Return the receipts of the existing shards that hold this content."""
    names = shard_names(job.bucket, dataset.objects, dataset.landmarks, {p: rendering.specs[p] for p in job.missing})
    uris = {p: storage.join(rendering.folders[p], name) for p, name in names.items() if name in job.existing}
    return {p: read_receipt(uri) for p, uri in uris.items()}


def _object_jobs(dataset: Dataset, specs: Mapping[str, RenderSpec]) -> list[ObjectJob]:
    return [
        ObjectJob(labels, dataset.landmarks, labels["mesh"] and dataset.mesh_uri(labels["mesh"]), specs)
        for labels in dataset.objects.to_pylist()
    ]


def _render(objects: Sequence[ObjectJob], limits: SandboxLimits) -> list[RenderedObject]:
    process = shared_sandbox(limits, "featurelib.datasets.shards.warm")
    return [
        _lost(job, str(found)) if isinstance(found, ProcessLostError) else found
        for job, found in zip(objects, process.map(render_object, objects), strict=True)
    ]


def _lost(job: ObjectJob, reason: str) -> RenderedObject:
    rejected = reject(job.labels, "process", f"{job.name}: {reason}")
    return RenderedObject(dict.fromkeys(job.specs, rejected), None)


def _as_rendered(dataset: Dataset, objects: Sequence[ObjectJob], rendered: Sequence[RenderedObject]) -> Dataset:
    """Return the dataset with tags of the local content that was rendered; the tags of S3's listing stay."""
    if storage.is_s3(dataset.uri):
        return dataset
    hashes = [
        found.mesh_sha256 or (job.mesh_uri and sha256_of_file(job.mesh_uri))
        for job, found in zip(objects, rendered, strict=True)
    ]
    return with_tags(dataset, [content_tag(mesh_sha256) for mesh_sha256 in hashes])


def _write_shards(
    rendering: Rendering, bucket: int, dataset: Dataset, projections: Sequence[str], rendered: Sequence[RenderedObject]
) -> dict[str, Receipt]:
    """Write one shard per projection and return the receipts."""
    specs, receipts = {p: rendering.specs[p] for p in projections}, {}
    names = shard_names(bucket, dataset.objects, dataset.landmarks, specs)
    for projection, name in names.items():
        outcomes = [found.outcomes[projection] for found in rendered]
        rows = [row for outcome in outcomes if isinstance(outcome, list) for row in outcome]
        rejects = tuple(outcome for outcome in outcomes if isinstance(outcome, dict))
        uri = storage.join(rendering.folders[projection], name)
        receipts[projection] = write_shard(uri, rows, Receipt(name, bucket, rejects=rejects), dataset.landmarks)
        _count(projection, receipts[projection])
    return receipts


def _count(projection: str, receipt: Receipt) -> None:
    """Add a shard to the job's metrics."""
    objects, views = _counters()
    for outcome, count in (("rendered", sum(receipt.objects.values())), ("rejected", len(receipt.rejects))):
        if count:
            objects.inc(count, {"outcome": outcome, "projection": projection})
    if num_views := sum(receipt.views.values()):
        views.inc(num_views, {"projection": projection})


@functools.cache
def _counters() -> tuple[Counter, Counter]:
    """Return this worker's share of the job's metrics: objects by outcome, and views."""
    objects = Counter("featurelib_render_objects", "Objects, by outcome and projection.", ("outcome", "projection"))
    return objects, Counter("featurelib_render_views", "Images rendered, by projection.", ("projection",))
