"""DATASET -> RUN/renders: every object from every angle of the rig, in each projection.

1. Read the dataset's table and settle what shapes the pixels (one spec a projection).
2. Plan the shards: names are a function of the inputs, so what exists is right and is not made again.
3. Fan the missing shards over the cluster, a task a bucket (jobs/workers/render.py), and gather receipts.
4. Commit: rejects.parquet, then manifest.json.
"""

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from featurelib.datasets.content_tags import with_content_tags
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.schemas import INPUTS
from featurelib.datasets.shards import (
    Manifest,
    Receipt,
    RenderSpec,
    ShardPlan,
    commit,
    estimate_frame_mm,
    frame_sample,
    is_finished,
    num_buckets,
    open_renders,
    plan_shards,
    read_receipt,
    refuse_other_version,
    renders_uri,
)
from featurelib.datasets.shards.sandboxed import FrameJob, needed_frames_mm
from featurelib.errors import DataError, UsageError
from featurelib.geometry import DEFAULT_RIG, Projection, Rig
from featurelib.rendering import open_renderer
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from featurelib.runtime.sandbox import ProcessLostError, SandboxedProcess, SandboxLimits
from jobs.workers import cluster
from jobs.workers.render import ShardJob, make_shards

logger = logging.getLogger(__name__)


@cli.config
@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """What to render.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json, meshes/ and landmarks.csv.
        run: Folder or s3:// URI that receives the run.
        projections: Which projections to render.
        image_size: Width and height of an image, in pixels.
        rig: JSON file with other views than the nine default ones (azimuth -90 to +90 degrees).
        frame_mm: Width of the image at the object, in mm; default: from a sample of the objects, with a margin.
        backend: Renderer: raster (CPU), pyrender (GPU through EGL), auto (pyrender where there is a GPU).
        overwrite: Render anew where the run holds images of another configuration.
        max_reject_fraction: End with an error, and no manifest, if more than this share of the objects fails.
        max_workers: Worker processes at most, one CPU each; default: as many as the cluster has, and grows to have.
        gpus_per_worker: Share of a GPU that a worker takes, for pyrender.
        object_timeout: Time limit for one object, in seconds.
        object_memory_mb: Memory limit for one object, in MB.
        recycle_after: Objects after which a render process is replaced, so that leaks do not add up.
    """

    dataset: str
    run: str
    projections: tuple[Projection, ...] = ("orthographic", "perspective")
    image_size: int = 512
    rig: str | None = None
    frame_mm: float | None = None
    backend: Literal["auto", "raster", "pyrender"] = "auto"
    overwrite: bool = False
    max_reject_fraction: float = 0.5
    max_workers: int | None = None
    gpus_per_worker: float = 0.0
    object_timeout: float = 120.0
    object_memory_mb: int = 8192
    recycle_after: int = 500

    @property
    def child_limits(self) -> SandboxLimits:
        """What a render process may use."""
        return SandboxLimits(
            seconds=self.object_timeout, memory_mb=self.object_memory_mb, recycle_after=self.recycle_after
        )


def render(config: RenderConfig) -> None:
    """Render every object of a dataset from every angle of the rig.

    Example: featurelib render --dataset heads --run runs/heads --image-size 512
    """
    dataset = _with_content_tags(open_dataset(config.dataset), storage.join(storage.absolute(config.run), "renders"))
    specs = _specs(config, dataset)
    uris = {projection: renders_uri(config.run, projection) for projection in specs}
    plans = plan_shards(dataset.objects, specs, num_buckets(len(dataset.objects)))
    listings = {projection: storage.list_files(uri) for projection, uri in uris.items()}
    stale = [p for p in specs if not is_finished(uris[p], listings[p], [plan.names[p] for plan in plans])]
    if stale:
        receipts = _render_missing(config, dataset, {p: specs[p] for p in stale}, plans, listings)
        for projection in stale:
            _commit(config, dataset, specs[projection], listings[projection], receipts[projection])
    for projection in specs:
        _print_result(open_renders(config.run, projection), projection in stale)


def _with_content_tags(dataset: Dataset, uri: str) -> Dataset:
    """Return the dataset with tags of its meshes' content, and remember what was read for the next run."""
    if storage.is_s3(dataset.uri):
        return dataset
    inputs = storage.join(uri, "inputs.parquet")
    known = pq.read_table(io.BytesIO(storage.read_bytes(inputs))) if storage.exists(inputs) else None
    tagged = with_content_tags(dataset, known)
    table = pa.table([dataset.objects["mesh_tag"], tagged.objects["mesh_tag"]], schema=INPUTS)
    if not table.equals(known):
        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd")
        storage.write_bytes(inputs, file.getvalue())
    return tagged


def _specs(config: RenderConfig, dataset: Dataset) -> dict[str, RenderSpec]:
    """Return what shapes the images: the flags, and for the rest what an earlier run of this job settled."""
    if config.image_size < 16:
        raise UsageError(f"--image-size {config.image_size}: expected at least 16 pixels")
    if config.frame_mm is not None and config.frame_mm <= 0:
        raise UsageError(f"--frame-mm {config.frame_mm:g}: expected a width in mm above 0")
    uris = {projection: renders_uri(config.run, projection) for projection in config.projections}
    if not config.overwrite:
        for uri in uris.values():
            refuse_other_version(uri)
    earlier = {p: {} if config.overwrite else _earlier_config(uri) for p, uri in uris.items()}
    rig = Rig.from_json(storage.read_bytes(config.rig), name=config.rig) if config.rig else DEFAULT_RIG
    unknown = [p for p in config.projections if not (config.frame_mm or earlier[p])]
    frames_mm = _frames_mm(config, dataset, rig, unknown)
    backends = [values["backend"] for values in earlier.values() if values and config.backend == "auto"]
    backend = backends[0] if backends else open_renderer(config.backend).name
    specs: dict[str, RenderSpec] = {}
    for projection, uri in uris.items():
        spec = RenderSpec(
            unit=dataset.unit,
            alignment=dataset.alignment,
            projection=projection,
            frame_mm=config.frame_mm or earlier[projection].get("frame_mm") or frames_mm[projection],
            image_size=config.image_size,
            rig=rig,
            backend=backend,
        )
        _refuse_change(earlier[projection], spec, dataset, uri)
        specs[projection] = spec
    for projection, uri in uris.items():
        _write_config(specs[projection], dataset, uri)
    return specs


def _write_config(spec: RenderSpec, dataset: Dataset, uri: str) -> None:
    config, content = storage.join(uri, "config.json"), json.dumps(_config_dict(spec, dataset), indent=1).encode()
    if not storage.exists(config) or storage.read_bytes(config) != content:
        storage.write_bytes(config, content)


def _config_dict(spec: RenderSpec, dataset: Dataset) -> dict[str, Any]:
    return {"dataset": dataset.uri, "landmark": dataset.landmark, **spec.to_dict()}


def _earlier_config(uri: str) -> dict[str, Any]:
    config = storage.join(uri, "config.json")
    return json.loads(storage.read_bytes(config)) if storage.exists(config) else {}


def _refuse_change(earlier: Mapping[str, Any], spec: RenderSpec, dataset: Dataset, uri: str) -> None:
    now = json.loads(json.dumps(_config_dict(spec, dataset)))
    for name in earlier and now:
        if name != "dataset" and earlier.get(name) != now[name]:  # a dataset may move
            raise DataError(
                f"{uri}: was rendered with {name} {earlier.get(name)}, not {now[name]}; --overwrite renders anew"
            )


def _frames_mm(config: RenderConfig, dataset: Dataset, rig: Rig, projections: Sequence[str]) -> dict[str, float]:
    """Return the image's width in mm that a sample of the objects asks for, by projection.

    The sample is evenly spread over the ids. Its bad meshes are left to the rendering, which names them.
    """
    if not projections:
        return {}
    jobs = [
        FrameJob(dataset.mesh_uri(file.name), dataset.object_from_source_of(file.turn), rig, tuple(projections))
        for file in frame_sample([*dataset.files.values()])
    ]
    with SandboxedProcess(config.child_limits, preload=["featurelib.datasets.shards.warm"]) as child:
        needed_mm = [
            found for found in child.map(needed_frames_mm, jobs) if found and not isinstance(found, ProcessLostError)
        ]
    if not needed_mm:
        raise DataError(
            f"{dataset.uri}: no mesh of the sample can be read, so the image's width is unknown; see --frame-mm"
        )
    return {projection: estimate_frame_mm([found[projection] for found in needed_mm]) for projection in projections}


def _render_missing(
    config: RenderConfig,
    dataset: Dataset,
    specs: Mapping[str, RenderSpec],
    plans: Sequence[ShardPlan],
    listings: Mapping[str, Sequence[storage.Entry]],
) -> dict[str, list[Receipt]]:
    """Render the shards that do not exist yet and return the receipts of all, by projection."""
    uris = {projection: renders_uri(config.run, projection) for projection in specs}
    present = {projection: {entry.name for entry in listings[projection]} for projection in specs}
    receipts: dict[str, list[Receipt]] = {
        p: [read_receipt(storage.join(uris[p], plan.names[p])) for plan in plans if plan.names[p] in present[p]]
        for p in specs
    }
    if before := sum(map(len, receipts.values())):
        logger.info("render: %s shards are there already", before)
    work = []
    for plan in plans:
        missing = {p: storage.join(uris[p], plan.names[p]) for p in specs if plan.names[p] not in present[p]}
        if missing:
            work.append(ShardJob(plan.bucket, missing, specs, plan.objects, dataset.uri, config.child_limits))
    progress = Progress("render", sum(len(job.objects) * len(job.uris) for job in work), "objects")
    views = rejected = 0
    failed = {projection: sum(len(receipt.rejects) for receipt in receipts[projection]) for projection in specs}
    for projection, receipt in _fan_out(config, work):
        receipts[projection].append(receipt)
        failed[projection] += len(receipt.rejects)
        views, rejected = views + sum(receipt.views.values()), rejected + len(receipt.rejects)
        progress.add(receipt.num_objects, f", {views} views, {rejected} rejected, {progress.rate(views):.0f} views/s")
        if failed[projection] > config.max_reject_fraction * len(dataset.objects):
            _refuse_too_many_rejects(config, dataset, receipts[projection], uris[projection])
    progress.end(f" ({' + '.join(specs)}), {views} views, {rejected} rejected, {progress.rate(views):.0f} views/s,")
    return receipts


def _refuse_too_many_rejects(config: RenderConfig, dataset: Dataset, receipts: Sequence[Receipt], uri: str) -> None:
    """Raise DataError, with the first reason, if more objects fail than may."""
    rejects = [row for receipt in receipts for row in receipt.rejects]
    if len(rejects) > config.max_reject_fraction * len(dataset.objects):
        raise DataError(
            f"{uri}: {len(rejects)} of {len(dataset.objects)} objects failed, more than --max-reject-fraction "
            f"{config.max_reject_fraction:g}; the first, {rejects[0]['object_id']}: {rejects[0]['reason']}"
        )


def _fan_out(config: RenderConfig, work: list[ShardJob]) -> Iterator[tuple[str, Receipt]]:
    """Make the shards on the cluster; yield their receipts, with the projection, as they come."""
    if not work:
        return
    cluster.connect()
    task = make_shards.options(num_gpus=config.gpus_per_worker)
    for _, receipts in cluster.run_all(task.remote, work, config.max_workers):
        yield from receipts.items()


def _commit(
    config: RenderConfig,
    dataset: Dataset,
    spec: RenderSpec,
    listing: Sequence[storage.Entry],
    receipts: Sequence[Receipt],
) -> None:
    """Commit a projection, unless another run did since the listing, and drop the shards that are no more."""
    uri = renders_uri(config.run, spec.projection)
    _refuse_too_many_rejects(config, dataset, receipts, uri)
    replaced = next((entry.tag for entry in listing if entry.name == "manifest.json"), None)
    manifest = commit(uri, dataset.uri, dataset.landmark, spec, receipts, len(dataset.objects), replaced)
    named = set(manifest.shards)
    for entry in storage.list_files(uri):
        if entry.name.startswith("shard-") and entry.name not in named:
            storage.delete(storage.join(uri, entry.name))  # of inputs or a configuration that are no more


def _print_result(manifest: Manifest, is_new: bool) -> None:
    spec = manifest.spec
    objects, views = sum(manifest.objects.values()), sum(manifest.views.values())
    print_result(
        f"{manifest.uri}: {objects} objects, {views} views, "
        f"{manifest.rejected} rejected; {spec.image_size} px, {spec.frame_mm:g} mm wide, {spec.backend}"
        + ("" if is_new else "; nothing to do"),
        {"renders": manifest.uri, "objects": objects, "views": views, "rejected": manifest.rejected},
    )


if __name__ == "__main__":
    cli.run(cli.single_command(render, "render"))
