"""Meshes without labels + a run's models -> OUT/predictions: millimetres out, for as many meshes as there are.

1. Plan the parts: their names are a function of the meshes and the models, so what exists is right.
2. Fan the missing parts over the cluster, a task a part: a child process loads each mesh and renders its views, the
   worker's networks see the pictures of the whole part in one batch, then each object from near.
3. Put the parts together: predictions.parquet, predictions.csv and, last, config.json.
"""

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cache, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray

from featurelib import cli, stages, storage
from featurelib.answers import Seen
from featurelib.dataset import Dataset, open_dataset, with_content_tags
from featurelib.errors import DataError, FeaturelibError
from featurelib.geometry import PROJECTIONS, Projection
from featurelib.isolation import Child, ChildLimits, LostError
from featurelib.lifter.files import is_trained
from featurelib.pointfiles.slicer import mesh_space
from featurelib.predictions import PREDICTIONS, no_prediction, prediction, to_csv, to_markups
from featurelib.progress import Progress, say_result
from featurelib.shards import RenderSpec, bucket_of, num_buckets, open_renders
from featurelib.shards.child import FirstLookJob, first_look
from featurelib.versions import ModelVersions, validation_mm
from jobs import cluster
from jobs.vectorize import bound_tensorflow

if TYPE_CHECKING:
    from featurelib.detector.model import Detector
    from featurelib.finder import Finder

WAITING_PER_CPU = 4
"""Tasks in Ray's queue for each CPU of the cluster."""

LOST_WORKERS = 5
"""How often a part is begun again because its worker or node died."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """What to predict, and with which models.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json and meshes/; labels are not read.
        run: Folder or s3:// URI of the run with the trained models.
        out: Folder or s3:// URI that receives the predictions.
        projection: Which models; default: those that erred least on validation objects.
        slicer: Also write a 3D Slicer markups file (OUT/slicer/<object_id>.mrk.json) for each object.
        max_workers: Worker processes at most, one CPU each; default: as many as the cluster has, and grows to have.
        gpus_per_worker: Share of a GPU that a worker takes.
        object_seconds: Time limit for loading and rendering one object, in seconds.
        object_memory_mb: Memory limit for loading and rendering one object, in MB.
    """

    dataset: str
    run: str
    out: str
    projection: Projection | None = None
    slicer: bool = False
    max_workers: int | None = None
    gpus_per_worker: float = 0.0
    object_seconds: float = 120.0
    object_memory_mb: int = 8192


@dataclass(frozen=True)
class Models:
    """What answers: the run's folder, how its pictures are rendered, and hashes of its networks and numbers."""

    run: str
    spec: RenderSpec
    versions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """Some objects of a dataset (rows of records.OBJECTS) and the file that receives their predictions."""

    uri: str
    objects: pa.Table


def predict(config: PredictConfig) -> None:
    """Find the landmarks of meshes without labels.

    Example: featurelib predict --dataset scans --run runs/heads --out predictions
    """
    dataset = with_content_tags(open_dataset(config.dataset, labelled=False))
    models = _models(config, dataset)
    out = storage.absolute(config.out)
    parts = plan_parts(dataset, models, storage.join(out, "parts"))
    config_uri = storage.join(out, "config.json")
    made_from = {"dataset": dataset.uri, "models": models.versions, "slicer": config.slicer}
    made_from["parts"] = sha256("\n".join(part.uri.rpartition("/")[2] for part in parts).encode()).hexdigest()
    if not stages.is_done(config_uri, made_from):
        stages.mark_begun(config_uri)
        present = {entry.name for entry in storage.list_files(storage.join(out, "parts"))}
        _make(config, dataset, models, [part for part in parts if part.uri.rpartition("/")[2] not in present])
        _put_together(config, dataset, parts, out)
        stages.mark_done(config_uri, made_from)
    _say_result(out)


def _models(config: PredictConfig, dataset: Dataset) -> Models:
    """Return the models of the projection asked for, or of the one that erred least on validation objects."""
    trained = [p for p in PROJECTIONS if config.projection in (None, p) and is_trained(config.run, p)]
    if not trained:
        raise DataError(f"{storage.absolute(config.run)}: no trained lifter; run `featurelib pipeline`")
    projection = min(trained, key=lambda p: validation_mm(config.run, p))
    versions = ModelVersions.of(config.run, projection)
    trained_on = open_renders(config.run, projection).spec
    spec = RenderSpec(**{**vars(trained_on), "unit": dataset.unit, "alignment": dataset.alignment})
    return Models(storage.absolute(config.run), spec, astuple(versions))


def plan_parts(dataset: Dataset, models: Models, uri: str) -> list[Part]:
    """Return the parts of a dataset; a part's name holds a hash of its meshes and of all that makes its answers."""
    objects = dataset.objects
    buckets = num_buckets(len(objects))
    places = np.array([bucket_of(object_id, buckets) for object_id in objects["object_id"].to_pylist()])
    made_by = json.dumps([models.spec.to_dict(), models.versions], sort_keys=True)
    parts = []
    for bucket in np.unique(places):
        members = objects.take(np.flatnonzero(places == bucket))
        content = json.dumps(
            [made_by, members.select(["object_id", "mesh", "mesh_tag", "turn"]).to_pylist()], sort_keys=True
        )
        name = f"part-{bucket:05d}-{sha256(content.encode()).hexdigest()[:24]}.parquet"
        parts.append(Part(storage.join(uri, name), members))
    return parts


def _make(config: PredictConfig, dataset: Dataset, models: Models, parts: Sequence[Part]) -> None:
    if not parts:
        return
    cluster.connect()
    progress = Progress("predict", sum(len(part.objects) for part in parts), "objects")
    limits = ChildLimits(seconds=config.object_seconds, memory_mb=config.object_memory_mb, recycle_after=500)
    rejected = 0
    for count, of_them in _fan_out(config, dataset.uri, models, limits, parts):
        rejected += of_them
        progress.add(count, f", {rejected} not accepted")
    progress.end(f", {rejected} not accepted,")


def _fan_out(
    config: PredictConfig, dataset: str, models: Models, limits: ChildLimits, parts: Sequence[Part]
) -> Iterator[tuple[int, int]]:
    """Make the parts on the cluster; yield the number of objects, and of those not accepted, as they come."""
    task, shared = predict_part.options(num_gpus=config.gpus_per_worker), ray.put(models)
    todo, waiting = iter(parts), list[ray.ObjectRef]()
    while True:
        room = (config.max_workers or WAITING_PER_CPU * cluster.num_cpus()) - len(waiting)
        waiting += [task.remote(dataset, shared, limits, part) for part in itertools.islice(todo, max(0, room))]
        if not waiting:
            return
        (ready,), waiting = ray.wait(waiting, num_returns=1)
        yield ray.get(ready)


@ray.remote(num_cpus=1, max_retries=LOST_WORKERS)
def predict_part(dataset: str, models: Models, limits: ChildLimits, part: Part) -> tuple[int, int]:
    """Write the predictions of a part's objects; return how many they are, and how many are not accepted."""
    bound_tensorflow(1)
    rows = predicted(models, limits, dataset, part.objects)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), file)
    storage.write_bytes(part.uri, file.getvalue())
    return len(rows), sum(not row["accepted"] for row in rows)


def predicted(models: Models, limits: ChildLimits, dataset: str, objects: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of PREDICTIONS of objects (records.OBJECTS), in their order."""
    detector, finder = _networks(models)
    ids, meshes, turns = (objects[name].to_pylist() for name in ("object_id", "mesh", "turn"))
    jobs = [
        FirstLookJob(storage.join(dataset, "meshes", mesh), models.spec, turn)
        for mesh, turn in zip(meshes, turns, strict=True)
    ]
    looks = list(_child(limits).map(first_look, jobs))
    seen = [look for look in looks if not isinstance(look, LostError | str)]
    sighting = detector([png for look in seen for png in look.pngs])
    num_views = len(models.spec.rig)
    sightings = iter(
        Seen(sighting.xy[i : i + num_views], sighting.visible[i : i + num_views])
        for i in range(0, len(sighting.xy), num_views)
    )
    rows = []
    for object_id, mesh, turn, look in zip(ids, meshes, turns, looks, strict=True):
        if isinstance(look, LostError):
            rows.append(no_prediction(object_id, "process", f"meshes/{mesh}: {look}"))
        elif isinstance(look, str):
            rows.append(no_prediction(object_id, "load", look))
        else:
            to_object = models.spec.object_from_source_of(turn)
            rows.append(_row(finder, object_id, look.mesh, next(sightings), to_object))
    return rows


def _row(finder: "Finder", object_id: str, mesh: Any, seen: Seen, to_object: np.ndarray) -> dict[str, Any]:
    try:
        return prediction(object_id, finder(mesh, seen), to_object)
    except FeaturelibError as error:
        return no_prediction(object_id, "find", str(error))


@lru_cache(maxsize=1)
def _networks(models: Models) -> tuple["Detector", "Finder"]:
    """Load the networks once a process."""
    from featurelib.detector.model import Detector
    from featurelib.finder import Finder

    projection = models.spec.projection
    return Detector.load(models.run, projection), Finder.load(models.run, projection, models.spec)


@cache
def _child(limits: ChildLimits) -> Child:
    """Return this worker's process for loading and rendering, which lives from task to task."""
    return Child(limits, preload=["featurelib.shards.warm"])


def _put_together(config: PredictConfig, dataset: Dataset, parts: Sequence[Part], out: str) -> None:
    tables = [pq.read_table(io.BytesIO(storage.read_bytes(part.uri))) for part in parts]
    table = pa.concat_tables([PREDICTIONS.empty_table(), *tables]).sort_by("object_id")
    file = io.BytesIO()
    pq.write_table(table, file)
    storage.write_bytes(storage.join(out, "predictions.parquet"), file.getvalue())
    storage.write_bytes(storage.join(out, "predictions.csv"), to_csv(table))
    for row in table.to_pylist() if config.slicer else ():
        if row["left_x"] is not None:
            uri = storage.join(out, "slicer", f"{row['object_id']}.mrk.json")
            space = mesh_space(storage.read_bytes(dataset.mesh_uri(dataset.files[row["object_id"]].name))) or "LPS"
            storage.write_bytes(uri, to_markups(row, dataset.landmark, space))


def _say_result(out: str) -> None:
    table = pq.read_table(io.BytesIO(storage.read_bytes(storage.join(out, "predictions.parquet"))))
    accepted = table["accepted"].to_pylist().count(True)
    say_result(
        f"{out}/predictions.csv: {len(table)} objects, {accepted} accepted",
        {"predictions": f"{out}/predictions.csv", "objects": len(table), "accepted": accepted},
    )


if __name__ == "__main__":
    cli.run(cli.single_command(predict, "predict"))
