"""DATASET -> RUN/renders: every object from every angle of the rig, in each projection.

1. Read the dataset's table and settle what shapes the pixels (one spec a projection).
2. Plan the shards: names are a function of the inputs, so what exists is right and is not made again.
3. Fan the missing shards over the cluster; a task loads each mesh once, renders it in all projections,
   writes its shards with one PUT each and returns receipts. Pictures never travel through Ray.
4. Commit: rejects.parquet, then manifest.json.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import ray

from featurelib import cli, storage
from featurelib.dataset import Dataset, open_dataset, with_content_tags
from featurelib.errors import DataError, UsageError
from featurelib.geometry import DEFAULT_RIG, Rig
from featurelib.meshes import Mesh, load_mesh
from featurelib.progress import Progress, say
from featurelib.rendering import open_renderer
from featurelib.shards import (
    Manifest,
    Receipt,
    RenderSpec,
    ShardPlan,
    commit,
    estimate_frame_mm,
    num_buckets,
    object_views,
    open_renders,
    plan_shards,
    read_receipt,
    renders_uri,
    write_shard,
)
from jobs import cluster

FRAME_SAMPLE = 64
"""Objects looked at to settle the image's width, evenly spread over the ids."""

Projection = Literal["orthographic", "perspective"]


@cli.config
@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """What to render.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json, meshes/ and landmarks.csv.
        run: Folder or s3:// URI that receives the run.
        projections: Which projections to render.
        image_size: Width and height of a picture, in pixels.
        rig: JSON file with other views than the nine default ones (azimuth -90 to +90 degrees).
        frame_mm: Width of the image at the object, in mm; default: from a sample of the objects, with a margin.
        backend: Renderer: raster (CPU), pyrender (GPU through EGL), auto (pyrender where there is a GPU).
        overwrite: Render anew where the run holds pictures of another configuration.
    """

    dataset: str
    run: str
    projections: tuple[Projection, ...] = ("orthographic", "perspective")
    image_size: int = 512
    rig: str | None = None
    frame_mm: float | None = None
    backend: Literal["auto", "raster", "pyrender"] = "auto"
    overwrite: bool = False


def render(config: RenderConfig) -> None:
    """Render every object of a dataset from every angle of the rig.

    Example: featurelib render --dataset heads --run runs/heads --image-size 512
    """
    dataset = with_content_tags(open_dataset(config.dataset))
    specs = {projection: _spec(config, dataset, projection) for projection in config.projections}
    buckets = num_buckets(len(dataset.objects))
    plans = {projection: plan_shards(dataset.objects, spec, buckets) for projection, spec in specs.items()}
    uris = {projection: renders_uri(config.run, projection) for projection in specs}
    stale = {p for p in specs if not _is_finished(uris[p], plans[p])}
    if stale:
        receipts = _render_missing(dataset, {p: specs[p] for p in stale}, plans, uris)
        for projection in sorted(stale):
            _commit(dataset, specs[projection], uris[projection], receipts[projection])
    for projection in specs:
        _say_result(open_renders(config.run, projection), projection in stale)


def _spec(config: RenderConfig, dataset: Dataset, projection: str) -> RenderSpec:
    """Return what shapes the pictures: the flags, and for the rest what an earlier run of this job settled."""
    if config.image_size < 16:
        raise UsageError(f"--image-size {config.image_size}: expected at least 16 pixels")
    earlier = {} if config.overwrite else _earlier_config(renders_uri(config.run, projection))
    rig = Rig.from_json(storage.read_bytes(config.rig), name=config.rig) if config.rig else DEFAULT_RIG
    backend = earlier.get("backend") if config.backend == "auto" and earlier else None
    frame_mm = config.frame_mm or earlier.get("frame_mm") or estimate_frame_mm(_sample(dataset), rig, projection)
    spec = RenderSpec(
        unit=dataset.unit,
        alignment=dataset.alignment,
        projection=projection,
        frame_mm=frame_mm,
        image_size=config.image_size,
        rig=rig,
        backend=backend or open_renderer(config.backend).name,
    )
    if earlier:
        _refuse_change(earlier, spec, dataset, renders_uri(config.run, projection))
    uri = storage.join(renders_uri(config.run, projection), "config.json")
    content = json.dumps(_config_dict(spec, dataset), indent=1).encode()
    if not storage.exists(uri) or storage.read_bytes(uri) != content:
        storage.write_bytes(uri, content)
    return spec


def _config_dict(spec: RenderSpec, dataset: Dataset) -> dict[str, Any]:
    return {"dataset": dataset.uri, "landmark": dataset.landmark, **spec.to_dict()}


def _earlier_config(uri: str) -> dict[str, Any]:
    config = storage.join(uri, "config.json")
    return json.loads(storage.read_bytes(config)) if storage.exists(config) else {}


def _refuse_change(earlier: Mapping[str, Any], spec: RenderSpec, dataset: Dataset, uri: str) -> None:
    now = json.loads(json.dumps(_config_dict(spec, dataset)))
    for name in now:
        if name != "dataset" and earlier.get(name) != now[name]:  # a dataset may move
            raise DataError(
                f"{uri}: was rendered with {name} {earlier.get(name)}, not {now[name]}; --overwrite renders anew"
            )


def _sample(dataset: Dataset) -> list[Mesh]:
    """Return up to FRAME_SAMPLE meshes, evenly spread over the ids; bad ones are left to the rendering to name."""
    names = [name for name in dataset.objects["mesh"].to_pylist() if name]
    meshes = []
    for name in names[:: max(1, len(names) // FRAME_SAMPLE)]:
        try:
            meshes.append(dataset.load(name))
        except DataError:
            continue
    if not meshes:
        raise DataError(
            f"{dataset.uri}: no mesh of the sample can be read, so the image's width is unknown; see --frame-mm"
        )
    return meshes


def _is_finished(uri: str, plans: Iterable[ShardPlan]) -> bool:
    """Whether the manifest is there and names just the planned shards, and all of them exist."""
    present = {entry.name for entry in storage.list_files(uri)}
    if "manifest.json" not in present:
        return False
    names = json.loads(storage.read_bytes(storage.join(uri, "manifest.json")))["shards"]
    return names == [plan.name for plan in plans] and present.issuperset(names)


def _render_missing(
    dataset: Dataset, specs: dict[str, RenderSpec], plans: dict[str, list[ShardPlan]], uris: dict[str, str]
) -> dict[str, list[Receipt]]:
    """Render the shards that do not exist yet and return the receipts of all, by projection."""
    receipts: dict[str, list[Receipt]] = {projection: [] for projection in specs}
    work: dict[int, dict[str, ShardPlan]] = {}
    for projection in specs:
        present = {entry.name for entry in storage.list_files(uris[projection])}
        for plan in plans[projection]:
            if plan.name in present:
                receipts[projection].append(read_receipt(storage.join(uris[projection], plan.name)))
            else:
                work.setdefault(plan.bucket, {})[projection] = plan
    rendered_before = sum(map(len, receipts.values()))
    if rendered_before:
        say(f"render: {rendered_before} shards are there already")
    progress = Progress(
        "render", sum(len(plan.objects) for shards in work.values() for plan in shards.values()), "objects"
    )
    views = rejected = 0
    for projection, receipt in _fan_out(dataset, specs, uris, list(work.values())):
        receipts[projection].append(receipt)
        views, rejected = views + sum(receipt.views.values()), rejected + len(receipt.rejects)
        progress.add(sum(receipt.objects.values()) + len(receipt.rejects), f", {views} views, {rejected} rejected")
    progress.end(f" ({' + '.join(specs)}), {views} views, {rejected} rejected")
    return receipts


def _fan_out(
    dataset: Dataset, specs: dict[str, RenderSpec], uris: dict[str, str], work: list[dict[str, ShardPlan]]
) -> Iterator[tuple[str, Receipt]]:
    """Render each item of work (plans of one bucket, by projection) on the cluster; yield receipts as they come."""
    if not work:
        return
    cluster.connect()
    workers = min(cluster.num_cpus(), len(work))
    rows = ray.data.from_items([{"plans": plans} for plans in work], override_num_blocks=len(work)).map(
        ShardRenderer,
        fn_constructor_kwargs={"dataset": replace(dataset, objects=None), "specs": specs, "uris": uris},
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    for row in rows.iter_rows():
        yield from row["receipts"].items()


class ShardRenderer:
    """Renders the shards of one bucket; keeps the renderer (a GL context, compiled code) between calls."""

    def __init__(self, dataset: Dataset, specs: dict[str, RenderSpec], uris: dict[str, str]) -> None:
        """Open the renderer that the specs name."""
        self.dataset, self.specs, self.uris = dataset, specs, uris
        self.renderer = open_renderer(next(iter(specs.values())).backend)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Column in: plans, {projection: ShardPlan}, the same objects in each. Column out: receipts by projection."""
        plans: dict[str, ShardPlan] = row["plans"]
        rows: dict[str, list[dict[str, Any]]] = {projection: [] for projection in plans}
        rejects: dict[str, list[dict[str, str]]] = {projection: [] for projection in plans}
        for labels in next(iter(plans.values())).objects:
            for projection, (views, reject) in self._render(labels, list(plans)).items():
                rows[projection] += views
                rejects[projection] += reject
        return {
            "receipts": {
                projection: write_shard(
                    storage.join(self.uris[projection], plan.name),
                    rows[projection],
                    Receipt(plan.name, plan.bucket, rejects=tuple(rejects[projection])),
                )
                for projection, plan in plans.items()
            }
        }

    def _render(
        self, labels: Mapping[str, Any], projections: list[str]
    ) -> dict[str, tuple[list[dict[str, Any]], list[dict[str, str]]]]:
        """Return an object's rows and rejects by projection; an object gives one or the other."""
        try:
            mesh, digest = self._load(labels)
        except DataError as error:
            return {projection: ([], [_reject(labels, "load", error)]) for projection in projections}
        results = {}
        for projection in projections:
            try:
                views = object_views(mesh, labels, digest, self.specs[projection], self.renderer)
                results[projection] = (views, [])
            except DataError as error:
                results[projection] = ([], [_reject(labels, "render", error)])
        return results

    def _load(self, labels: Mapping[str, Any]) -> tuple[Mesh, str]:
        name = labels["mesh"]
        if name is None:
            raise DataError(f"meshes/{labels['object_id']}: no mesh file of this name; landmarks.csv names it")
        content = storage.read_bytes(self.dataset.mesh_uri(name))
        mesh = load_mesh(content, name.rpartition(".")[2], self.dataset.object_from_source, name=f"meshes/{name}")
        return mesh, hashlib.sha256(content).hexdigest()


def _reject(labels: Mapping[str, Any], stage: str, error: DataError) -> dict[str, str]:
    return {"object_id": labels["object_id"], "stage": stage, "reason": str(error)}


def _commit(dataset: Dataset, spec: RenderSpec, uri: str, receipts: list[Receipt]) -> None:
    manifest = commit(uri, dataset.uri, dataset.landmark, spec, receipts, len(dataset.objects))
    for entry in storage.list_files(uri):
        if entry.name.startswith("shard-") and entry.name not in manifest.shards:
            storage.delete(storage.join(uri, entry.name))  # of inputs or a configuration that are no more


def _say_result(manifest: Manifest, is_new: bool) -> None:
    spec = manifest.spec
    print(
        f"{manifest.uri}: {sum(manifest.objects.values())} objects, {sum(manifest.views.values())} views, "
        f"{manifest.rejected} rejected; {spec.image_size} px, {spec.frame_mm:g} mm wide, {spec.backend}"
        + ("" if is_new else "; nothing to do")
    )


if __name__ == "__main__":
    cli.run(cli.single_command(render, "render"))
