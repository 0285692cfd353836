"""DATASET -> RUN/renders: every object from every view of the rig, in each projection.

1. Read the dataset's table and settle what shapes the pixels: one spec per projection. Record the splits of the groups;
   groups that the run knows stay in theirs.
2. Plan the shards. Their names are a function of the inputs, so an existing shard is never rendered again.
3. Make the missing shards, one task of Ray Data per bucket (jobs/workers/render.py), and collect their receipts. The
   tasks read the meshes: a local file that is new or changed has no known content before, so its bucket is always
   missing.
4. Commit: rejects.parquet, then manifest.json.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from featurelib.datasets.content_tags import remember_tags, with_known_tags, with_tags
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.shards import (
    Manifest,
    Receipt,
    RenderSpec,
    ShardPlan,
    num_buckets,
    open_renders,
    plan_shards,
    refuse_other_version,
    renders_uri,
)
from featurelib.datasets.shards.config import read_config, refuse_change, write_config
from featurelib.datasets.shards.folder import Folder
from featurelib.datasets.shards.frame import estimate_frames_mm
from featurelib.datasets.shards.recorded_splits import RecordedSplits
from featurelib.datasets.splits import warn_of_few_objects
from featurelib.errors import DataError, UsageError
from featurelib.geometry import DEFAULT_RIG, Rig
from featurelib.rendering import open_renderer
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from jobs.render import RenderConfig
from jobs.workers.render import Rendering, ShardJob, shard_stream

logger = logging.getLogger(__name__)


def run(config: RenderConfig, *, warns: bool = True) -> None:
    """Render the missing shards and print the result of each projection.

    Args:
        config: the flags.
        warns: whether to log that validation or test objects are few.
    """
    recorded = RecordedSplits.of(config.run, config.start_from)
    dataset = open_dataset(config.dataset, splits=recorded.splits)
    specs = _specs(config, dataset)
    recorded.extend(dataset)
    inputs = storage.join(storage.absolute(config.run), "renders", "inputs.parquet")
    tagged = with_known_tags(dataset, inputs)
    plans = plan_shards(tagged.objects, tagged.landmarks, specs, num_buckets(len(dataset.objects)))
    folders = {projection: Folder.of(config.run, spec) for projection, spec in specs.items()}
    stale = {p: folder for p, folder in folders.items() if not folder.is_finished([plan.names[p] for plan in plans])}
    is_new = dict.fromkeys(folders, False)
    if stale:
        receipts, tags = _make_missing(config, tagged, stale, plans)
        objects = zip(*(tagged.objects[name].to_pylist() for name in ("object_id", "mesh_tag")), strict=True)
        remember_tags(inputs, dataset, with_tags(tagged, [tags.get(object_id, tag) for object_id, tag in objects]))
        is_new |= {p: _commit(config, dataset, folder, receipts[p]) for p, folder in stale.items()}
    manifests = [open_renders(config.run, projection) for projection in folders]
    for manifest in manifests:
        _say_result(manifest, is_new[manifest.spec.projection])
    if warns:
        warn_of_few_objects("render", manifests[0].objects)


def _specs(config: RenderConfig, dataset: Dataset) -> dict[str, RenderSpec]:
    """Return what shapes the images: the flags, and otherwise what an earlier run of this job settled."""
    if config.image_size < 16:
        raise UsageError(f"--image-size {config.image_size}: expected at least 16 pixels")
    if config.frame_mm is not None and config.frame_mm <= 0:
        raise UsageError(f"--frame-mm {config.frame_mm:g}: expected a width in mm above 0")
    uris: dict[str, str] = {projection: renders_uri(config.run, projection) for projection in config.projections}
    earlier = {projection: _earlier(config, uri) for projection, uri in uris.items()}
    rig = Rig.from_json(storage.read_bytes(config.rig), name=config.rig) if config.rig else DEFAULT_RIG
    unknown = [projection for projection in uris if not (config.frame_mm or earlier[projection])]
    frames_mm = estimate_frames_mm(dataset, rig, unknown, config.child_limits)
    backend = _backend(config, earlier)
    specs = {
        projection: RenderSpec(
            unit=dataset.unit,
            alignment=dataset.alignment,
            projection=projection,
            frame_mm=config.frame_mm or earlier[projection].get("frame_mm") or frames_mm[projection],
            image_size=config.image_size,
            rig=rig,
            backend=backend,
        )
        for projection in uris
    }
    for projection, uri in uris.items():
        refuse_change(uri, earlier[projection], dataset, specs[projection])
    for projection, uri in uris.items():
        write_config(uri, dataset, specs[projection])
    return specs


def _earlier(config: RenderConfig, uri: str) -> dict[str, Any]:
    """Return the configuration of an earlier run; empty if there is none or it is to be overwritten."""
    if config.overwrite:
        return {}
    refuse_other_version(uri)
    return read_config(uri)


def _backend(config: RenderConfig, earlier: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name of the renderer: with `auto`, the one of an earlier run."""
    used = [values["backend"] for values in earlier.values() if values and config.backend == "auto"]
    return used[0] if used else open_renderer(config.backend).name


def _make_missing(
    config: RenderConfig, dataset: Dataset, folders: Mapping[str, Folder], plans: Sequence[ShardPlan]
) -> tuple[dict[str, list[Receipt]], dict[str, str | None]]:
    """Make the shards that do not exist; return all receipts by projection, and content tags by object."""
    receipts = {p: folder.receipts([plan.names[p] for plan in plans]) for p, folder in folders.items()}
    if existing := sum(map(len, receipts.values())):
        logger.info(f"render: {existing} shards exist already")
    jobs = [job for plan in plans if (job := _job(folders, plan)).missing]
    progress = Progress("render", sum(len(job.objects) * len(job.missing) for job in jobs), "objects")
    tags: dict[str, str | None] = {}
    views = rejected = 0
    failed = {p: sum(len(receipt.rejects) for receipt in receipts[p]) for p in folders}
    rendering = Rendering(
        dataset=replace(dataset, objects=dataset.objects.slice(0, 0), free_groups=None),
        folders={p: folder.uri for p, folder in folders.items()},
        specs={p: folder.spec for p, folder in folders.items()},
        limits=config.child_limits,
    )
    for made in shard_stream(rendering, jobs, config.max_workers, config.gpus_per_worker) if jobs else ():
        tags |= made.tags
        for projection, receipt in made.receipts.items():
            receipts[projection].append(receipt)
            failed[projection] += len(receipt.rejects)
            is_new = receipt.name not in folders[projection].tags  # else its shard had been rendered before
            views += sum(receipt.views.values()) if is_new else 0
            rejected += len(receipt.rejects)
            counts = f", {views} views, {rejected} rejected, {progress.rate(views):.0f} views/s"
            progress.add(receipt.num_objects, counts)
            if failed[projection] > config.max_reject_fraction * len(dataset.objects):
                _refuse_too_many_rejects(config, dataset, receipts[projection], folders[projection].uri)
    progress.end(f" ({' + '.join(folders)}), {views} views, {rejected} rejected, {progress.rate(views):.0f} views/s,")
    return receipts, tags


def _job(folders: Mapping[str, Folder], plan: ShardPlan) -> ShardJob:
    """Return the task of a bucket; it makes the shards of the projections whose planned shard does not exist."""
    missing = [p for p, folder in folders.items() if plan.names[p] not in folder.tags]
    existing = [name for p in missing for name in folders[p].shards_of(plan.bucket)]
    return ShardJob(plan.bucket, plan.objects, missing, existing)


def _refuse_too_many_rejects(config: RenderConfig, dataset: Dataset, receipts: Sequence[Receipt], uri: str) -> None:
    """Raise DataError, with the first reason, if too many objects failed."""
    rejects = [row for receipt in receipts for row in receipt.rejects]
    if len(rejects) > config.max_reject_fraction * len(dataset.objects):
        raise DataError(
            f"{uri}: {len(rejects)} of {len(dataset.objects)} objects failed, more than --max-reject-fraction "
            f"{config.max_reject_fraction:g}; the first, {rejects[0]['object_id']}: {rejects[0]['reason']}"
        )


def _commit(config: RenderConfig, dataset: Dataset, folder: Folder, receipts: Sequence[Receipt]) -> bool:
    """Commit a projection; return False if its shards are those of the present manifest."""
    receipts = sorted(receipts, key=lambda receipt: receipt.bucket)
    if folder.is_finished([receipt.name for receipt in receipts]):
        return False
    _refuse_too_many_rejects(config, dataset, receipts, folder.uri)
    folder.commit(dataset, receipts)
    return True


def _say_result(manifest: Manifest, is_new: bool) -> None:
    spec = manifest.spec
    objects, views = sum(manifest.objects.values()), sum(manifest.views.values())
    print_result(
        f"{manifest.uri}: {objects} objects, {views} views, "
        f"{manifest.rejected} rejected; {spec.image_size} px, {spec.frame_mm:g} mm wide, {spec.backend}"
        + ("" if is_new else "; nothing to do"),
        {"renders": manifest.uri, "objects": objects, "views": views, "rejected": manifest.rejected},
    )
