"""Meshes without labels + a run's models -> OUT/predictions: landmarks in millimetres, for any number of meshes.

1. Plan the parts: their names are hashes of the meshes and the models, so an existing part is never recomputed.
2. Stream the missing parts through the cluster (jobs/workers/predict.py): tasks prepare the meshes, actors with the
   networks predict and write.
3. Join the parts: predictions.parquet, predictions.csv and, last, config.json.
"""

import json
from collections.abc import Sequence
from dataclasses import astuple
from hashlib import sha256

import numpy as np
import pyarrow as pa
import ray

from featurelib.datasets.content_tags import with_content_tags
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.datasets.shards import RenderSpec, bucket_of, num_buckets, open_renders
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, Projection
from featurelib.models.inference import Device
from featurelib.models.lifter.files import is_trained, read_template
from featurelib.models.predictions import PREDICTIONS, to_csv, to_markups
from featurelib.models.versions import ModelVersions, validation_mm
from featurelib.runtime import completion, parquet, storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from featurelib.runtime.sandbox import SandboxLimits
from jobs.predict import PredictConfig
from jobs.workers import cluster
from jobs.workers.predict import Models, Part, PartPredictor, predict_part, prepare_part

PREPARE_CPUS, PREDICT_CPUS = 0.25, 0.5
"""One CPU serves a task that prepares and an actor that predicts; the objects determine how they share it. A quarter
stays unreserved, so that both can start although a server's replicas reserve a little of the same machine."""


def run(config: PredictConfig) -> None:
    """Write the missing parts, join all and print the number of predictions."""
    dataset = with_content_tags(open_dataset(config.dataset, labelled=False))
    models = choose_models(config.run, config.projection, dataset)
    out = storage.absolute(config.out)
    parts = plan_parts(dataset, models, storage.join(out, "parts"))
    config_uri = storage.join(out, "config.json")
    made_from = {"dataset": dataset.uri, "models": models.versions, "slicer": config.slicer}
    made_from["parts"] = sha256("\n".join(part.name for part in parts).encode()).hexdigest()
    if not completion.is_complete(config_uri, made_from):
        completion.invalidate(config_uri)
        present = {entry.name for entry in storage.list_files(storage.join(out, "parts"))}
        _predict(config, dataset, models, [part for part in parts if part.name not in present])
        _join(config, dataset, parts, out)
        completion.mark_complete(config_uri, made_from)
    _print_result(out)


def choose_models(run: str, projection: Projection | None, dataset: Dataset) -> Models:
    """Return a run's models of a projection, by default of the one with the smallest error on validation objects.

    Raises:
        DataError: if there are none.
    """
    trained = [p for p in PROJECTIONS if projection in (None, p) and is_trained(run, p)]
    if not trained:
        raise DataError(f"{storage.absolute(run)}: no trained lifter; run `featurelib pipeline`")
    chosen = min(trained, key=lambda p: validation_mm(run, p))
    trained_on = open_renders(run, chosen).spec
    spec = RenderSpec(**{**vars(trained_on), "unit": dataset.unit, "alignment": dataset.alignment})
    return Models(storage.absolute(run), spec, astuple(ModelVersions.of(run, chosen)))


def plan_parts(dataset: Dataset, models: Models, uri: str) -> list[Part]:
    """Return the parts of a dataset; a part's name has a hash of its meshes and of everything that predicts them."""
    objects = dataset.objects
    buckets = num_buckets(len(objects))
    bucket_of_row = np.array([bucket_of(object_id, buckets) for object_id in objects["object_id"].to_pylist()])
    made_by = json.dumps([models.spec.to_dict(), models.versions], sort_keys=True)
    parts = []
    for bucket in np.unique(bucket_of_row):
        members = objects.take(np.flatnonzero(bucket_of_row == bucket))
        content = json.dumps(
            [made_by, members.select(["object_id", "mesh", "mesh_tag", "rotation_wxyz"]).to_pylist()], sort_keys=True
        )
        name = f"part-{bucket:05d}-{sha256(content.encode()).hexdigest()[:24]}.parquet"
        parts.append(Part(storage.join(uri, name), members))
    return parts


def _predict(config: PredictConfig, dataset: Dataset, models: Models, parts: Sequence[Part]) -> None:
    if not parts:
        return
    cluster.connect_for_data()
    progress = Progress("predict", sum(len(part.objects) for part in parts), "objects")
    limits = SandboxLimits(seconds=config.object_timeout, memory_mb=config.object_memory_mb, recycle_after=500)
    rejected = 0
    workers = min(config.max_workers or cluster.num_cpus(), len(parts))
    for made in part_stream(dataset.uri, models, limits, parts, workers, config.gpus_per_worker).iter_rows():
        rejected += made["rejected"]
        progress.add(made["objects"], f", {rejected} not accepted")
    progress.end(f", {rejected} not accepted,")


def part_stream(
    dataset: str, models: Models, limits: SandboxLimits, parts: Sequence[Part], workers: int, gpus: float = 0.0
) -> ray.data.Dataset:
    """Return the stream that writes the parts; each of its rows has a part's number of objects and of rejected ones.

    Each stage has up to `workers` processes. Ray Data bounds the parts that wait between the stages, so preparing
    pauses when predicting falls behind.
    """
    template = read_template(models.run, models.spec.projection)
    preparing = {"dataset": dataset, "spec": models.spec, "template": template, "limits": limits}
    predicting = {"models": models, "device": Device(gpu=gpus > 0)}
    blocks = ray.data.from_arrow([part.to_table() for part in parts])
    blocks.context.target_max_block_size = None  # a block is a part, which must not be split
    return blocks.map_batches(
        prepare_part,
        fn_kwargs=preparing,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=workers),
        num_cpus=PREPARE_CPUS,
    ).map_batches(
        **cluster.network_stage(predict_part, PartPredictor, predicting, workers, gpus),
        batch_format="numpy",
        num_cpus=PREDICT_CPUS,
    )


def _join(config: PredictConfig, dataset: Dataset, parts: Sequence[Part], out: str) -> None:
    tables = [parquet.read_table(part.uri) for part in parts]
    table = pa.concat_tables([PREDICTIONS.empty_table(), *tables]).sort_by("object_id")
    parquet.write_table(storage.join(out, "predictions.parquet"), table)
    storage.write_bytes(storage.join(out, "predictions.csv"), to_csv(table))
    for row in table.to_pylist() if config.slicer else ():
        if row["left_x"] is not None:
            uri = storage.join(out, "slicer", f"{row['object_id']}.mrk.json")
            space = mesh_space(storage.read_bytes(dataset.mesh_uri(dataset.files[row["object_id"]].name))) or "LPS"
            storage.write_bytes(uri, to_markups(row, dataset.landmark, space))


def _print_result(out: str) -> None:
    table = parquet.read_table(storage.join(out, "predictions.parquet"))
    accepted = table["accepted"].to_pylist().count(True)
    print_result(
        f"{out}/predictions.csv: {len(table)} objects, {accepted} accepted",
        {"predictions": f"{out}/predictions.csv", "objects": len(table), "accepted": accepted},
    )
