"""What a worker of the render job does: the shards of one bucket, from mesh files to receipts.

A worker keeps a child process that loads each mesh once and renders it in all projections; a mesh that kills its
child is rejected. The worker writes its shards with one PUT each. Images never travel through Ray.

These are plain Ray tasks and not Ray Data's: nothing streams from one to another, and importing Ray Data, which its
workers must, took each of them 2.4 s of a rendering that takes 30.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.util.metrics import Counter

from featurelib.datasets.shards import Receipt, RenderSpec, write_shard
from featurelib.datasets.shards.sandboxed import ObjectJob, reject, render_object
from featurelib.runtime import storage
from featurelib.runtime.sandbox import ProcessLostError, SandboxedProcess, SandboxLimits

LOST_WORKERS = 5
"""How often a bucket is begun again because its worker or node died."""


@dataclass(frozen=True, eq=False)
class ShardJob:
    """The shards of one bucket and all that a worker needs to make them, so that any worker can.

    uris: of the shards, by projection. specs: by projection. objects: rows of records.OBJECTS. dataset: its URI.
    """

    bucket: int
    uris: Mapping[str, str]
    specs: Mapping[str, RenderSpec]
    objects: pa.Table
    dataset: str
    limits: SandboxLimits

    def object_jobs(self) -> list[ObjectJob]:
        """Return the pieces of work for a render child, one an object."""
        specs = {projection: self.specs[projection] for projection in self.uris}
        meshes = storage.join(self.dataset, "meshes")
        return [
            ObjectJob(labels, labels["mesh"] and storage.join(meshes, labels["mesh"]), specs)
            for labels in self.objects.to_pylist()
        ]


@ray.remote(num_cpus=1, max_retries=LOST_WORKERS)
def make_shards(job: ShardJob) -> dict[str, Receipt]:
    """Make the shards of a bucket and return their receipts by projection."""
    rows: dict[str, list[dict[str, Any]]] = {projection: [] for projection in job.uris}
    rejects: dict[str, list[dict[str, str]]] = {projection: [] for projection in job.uris}
    pieces = job.object_jobs()
    for piece, outcomes in zip(pieces, _child(job.limits).map(render_object, pieces), strict=True):
        if isinstance(outcomes, ProcessLostError):
            outcomes = dict.fromkeys(job.uris, reject(piece.labels, "process", f"{piece.name}: {outcomes}"))
        for projection, outcome in outcomes.items():
            if isinstance(outcome, list):
                rows[projection] += outcome
            else:
                rejects[projection].append(outcome)
    return {projection: _write(job, projection, rows[projection], rejects[projection]) for projection in job.uris}


@functools.cache
def _child(limits: SandboxLimits) -> SandboxedProcess:
    """Return this worker's render process, which lives from task to task."""
    return SandboxedProcess(limits, preload=["featurelib.datasets.shards.warm"])


def _write(job: ShardJob, projection: str, rows: list[dict[str, Any]], rejects: list[dict[str, str]]) -> Receipt:
    uri = job.uris[projection]
    receipt = write_shard(uri, rows, Receipt(uri.rpartition("/")[2], job.bucket, rejects=tuple(rejects)))
    objects, views = _counters()
    for outcome, count in (("rendered", sum(receipt.objects.values())), ("rejected", len(rejects))):
        if count:
            objects.inc(count, {"outcome": outcome, "projection": projection})
    if rows:
        views.inc(len(rows), {"projection": projection})
    return receipt


@functools.cache
def _counters() -> tuple[Counter, Counter]:
    """Return this worker's share of the job's metrics: objects by outcome, and views."""
    objects = Counter("featurelib_render_objects", "Objects, by outcome and projection.", ("outcome", "projection"))
    return objects, Counter("featurelib_render_views", "Images rendered, by projection.", ("projection",))
