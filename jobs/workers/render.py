"""Tasks of the render job: the shards of one bucket, from mesh files to receipts.

A sandboxed process reads, hashes and loads each mesh once and renders it in all projections; a mesh that ends the
process is rejected. A shard is named after the content that was rendered, so a mesh that changes in the meantime gives
a shard with another name. Each shard is written with one PUT. Images never travel through Ray.

These are plain Ray tasks: nothing streams from one to another, and importing Ray Data took each worker 2.4 s of a
rendering that takes 30 s.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import ray
from ray.util.metrics import Counter

from featurelib.datasets.content_tags import content_tag, sha256_of_file, with_content_tags, with_tags
from featurelib.datasets.dataset import Dataset
from featurelib.datasets.shards import Receipt, RenderSpec, read_receipt, shard_names, write_shard
from featurelib.datasets.shards.sandboxed import ObjectJob, RenderedObject, reject, render_object
from featurelib.runtime import storage
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits, shared_sandbox

LOST_WORKERS = 5
"""Number of times that a bucket is started again because its worker or node died."""


@dataclass(frozen=True, eq=False)
class ShardJob:
    """The shards of one bucket that are not known to exist, and all that any worker needs to make them.

    dataset: with the bucket's objects. folders, specs: URIs and specs by projection.
    existing: by projection, the names of the bucket's shards in the folder; one may hold this very content.
    """

    bucket: int
    dataset: Dataset
    folders: Mapping[str, str]
    specs: Mapping[str, RenderSpec]
    existing: Mapping[str, frozenset[str]]
    limits: SandboxLimits


class MadeShards(NamedTuple):
    """The receipts of a bucket by projection, and the content tags of its objects by id."""

    receipts: Mapping[str, Receipt]
    tags: Mapping[str, str | None]


@ray.remote(num_cpus=1, max_retries=LOST_WORKERS)
def make_shards(job: ShardJob) -> MadeShards:
    """Make the shards of a bucket that do not exist."""
    dataset, receipts = job.dataset, dict[str, Receipt]()
    if any(job.existing.values()):
        dataset = with_content_tags(dataset)
        receipts = _read_receipts(job, dataset)
    missing = {projection: spec for projection, spec in job.specs.items() if projection not in receipts}
    if missing:
        objects = _object_jobs(job.dataset, missing)
        rendered = _render(objects, job.limits)
        dataset = _as_rendered(job.dataset, objects, rendered)
        receipts |= _write_shards(job, shard_names(job.bucket, dataset.objects, missing), rendered)
    ids, tags = (dataset.objects[name].to_pylist() for name in ("object_id", "mesh_tag"))
    return MadeShards(receipts, dict(zip(ids, tags, strict=True)))


def _read_receipts(job: ShardJob, dataset: Dataset) -> dict[str, Receipt]:
    """Return the receipts of the existing shards that hold this content."""
    names = shard_names(job.bucket, dataset.objects, job.specs)
    return {p: read_receipt(storage.join(job.folders[p], name)) for p, name in names.items() if name in job.existing[p]}


def _object_jobs(dataset: Dataset, specs: Mapping[str, RenderSpec]) -> list[ObjectJob]:
    return [
        ObjectJob(labels, labels["mesh"] and dataset.mesh_uri(labels["mesh"]), specs)
        for labels in dataset.objects.to_pylist()
    ]


def _render(objects: Sequence[ObjectJob], limits: SandboxLimits) -> list[RenderedObject]:
    process = shared_sandbox(limits, "featurelib.datasets.shards.warm")
    return [
        _lost(job, found) if isinstance(found, ProcessLostError) else found
        for job, found in zip(objects, process.map(render_object, objects), strict=True)
    ]


def _lost(job: ObjectJob, error: ProcessLostError) -> RenderedObject:
    rejected = reject(job.labels, "process", f"{job.name}: {error}")
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


def _write_shards(job: ShardJob, names: Mapping[str, str], rendered: Sequence[RenderedObject]) -> dict[str, Receipt]:
    """Write one shard per projection and return the receipts."""
    receipts = {}
    for projection, name in names.items():
        outcomes = [found.outcomes[projection] for found in rendered]
        rows = [row for outcome in outcomes if isinstance(outcome, list) for row in outcome]
        rejects = tuple(outcome for outcome in outcomes if isinstance(outcome, dict))
        uri = storage.join(job.folders[projection], name)
        receipts[projection] = write_shard(uri, rows, Receipt(name, job.bucket, rejects=rejects))
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
