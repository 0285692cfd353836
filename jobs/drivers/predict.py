"""Meshes without labels + a run's models -> OUT/predictions: landmarks in millimetres, for any number of meshes.

1. Plan the parts: their names are hashes of the meshes and the models, so an existing part is never recomputed.
2. Stream the missing parts through the cluster (jobs/workers/predict.py), which reads and hashes the meshes.
3. Commit: one table of all predictions if there are not too many, then manifest.json.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurelib.datasets.content_tags import remember_tags, with_known_tags, with_tags
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.datasets.shards import RenderSpec, open_renders
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, SIDES, Projection
from featurelib.geometry.landmark_set import difference
from featurelib.models.lifter.files import is_trained
from featurelib.models.prediction_parts import (
    COUNTS,
    REQUESTS,
    PartPlan,
    PartReceipt,
    PredictionManifest,
    commit,
    gather,
    is_finished,
    manifest_uri,
    open_predictions,
    part_prefix,
    parts_uri,
    plan_parts,
    read_receipts,
)
from featurelib.models.predictions import to_csv, to_markups
from featurelib.models.versions import ModelVersions, validation_mm
from featurelib.runtime import parquet, storage
from featurelib.runtime.console import print_result
from featurelib.runtime.progress import Progress
from featurelib.runtime.sandbox import SandboxLimits
from jobs.predict import PredictConfig
from jobs.workers.predict import part_stream
from jobs.workers.prepare import Models, Predicting

MAX_TABLE_ROWS = 1_000_000
"""Rows, each a landmark of an object, up to which all predictions are also one table, as Parquet and CSV. Beyond it
they are a folder of parts."""


def run(config: PredictConfig) -> None:
    """Make the missing parts, commit all and print the number of predictions."""
    dataset = open_dataset(config.dataset, labelled=False)
    models = choose_models(config.run, config.projection, dataset)
    out = storage.absolute(config.out)
    inputs = storage.join(out, "inputs.parquet")
    tagged = with_known_tags(dataset, inputs)
    plans = plan_parts(tagged.objects, models.made_by)
    planned = [plan.name for plan in plans]
    made_from = {"models": list(models.versions), "slicer": config.slicer}
    present = {entry.name for entry in storage.list_files(parts_uri(out))}
    if not (present.issuperset(planned) and is_finished(out, dataset.uri, made_from, planned)):
        receipts, tags = _predict(config, tagged, models, plans, present)
        objects = zip(*(tagged.objects[name].to_pylist() for name in ("object_id", "mesh_tag")), strict=True)
        remember_tags(inputs, dataset, with_tags(tagged, [tags.get(object_id, tag) for object_id, tag in objects]))
        names = [receipt.name for receipt in receipts]
        if not is_finished(out, dataset.uri, made_from, names):
            storage.delete(manifest_uri(out))
            manifest = PredictionManifest.of(dataset.uri, made_from, receipts)
            _write_tables(config, dataset, manifest, out)
            commit(out, manifest)
    _print_result(out, open_predictions(out), len(models.landmarks.names))


def choose_models(run: str, projection: Projection | None, dataset: Dataset) -> Models:
    """Return a run's models of a projection, by default of the one with the smallest error on validation objects.

    Raises:
        DataError: if there are none, or the dataset has another landmark set.
    """
    trained = [p for p in PROJECTIONS if projection in (None, p) and is_trained(run, p)]
    if not trained:
        raise DataError(f"{storage.absolute(run)}: no trained lifter; run `featurelib pipeline`")
    chosen = min(trained, key=lambda p: validation_mm(run, p))
    manifest = open_renders(run, chosen)
    if manifest.landmarks.hash != dataset.landmarks.hash:
        raise DataError(
            f"{storage.absolute(run)}: trained on another landmark set than {dataset.uri}/dataset.json, "
            f"{difference(manifest.landmarks, dataset.landmarks)}; give dataset.json the set of the run's dataset"
        )
    spec = RenderSpec(**{**vars(manifest.spec), "unit": dataset.unit, "alignment": dataset.alignment})
    return Models(storage.absolute(run), spec, manifest.landmarks, astuple(ModelVersions.of(run, chosen)))


def _predict(
    config: PredictConfig, dataset: Dataset, models: Models, plans: Sequence[PartPlan], present: Set[str]
) -> tuple[list[PartReceipt], dict[str, str | None]]:
    """Make the parts that are not present; return all receipts, and content tags by object."""
    out = storage.absolute(config.out)
    receipts = read_receipts(out, [plan.name for plan in plans if plan.name in present])
    missing = [plan for plan in plans if plan.name not in present]
    tags: dict[str, str | None] = {}
    if missing:
        by_prefix = defaultdict(list)
        for name in present:
            by_prefix[name[: name.rfind("-") + 1]].append(name)
        parts = [(plan, by_prefix[part_prefix(plan.bucket)]) for plan in missing]
        limits = SandboxLimits(seconds=config.object_timeout, memory_mb=config.object_memory_mb, recycle_after=500)
        predicting = Predicting.of(dataset, models, out, limits)
        progress = Progress("predict", sum(len(plan.objects) for plan in missing), "objects")
        rejected = 0
        for receipt, known in part_stream(predicting, parts, config.max_workers, config.gpus_per_worker):
            receipts.append(receipt)
            tags |= known
            rejected += receipt.objects - receipt.accepted
            progress.add(receipt.objects, f", {rejected} not accepted")
        progress.end(f", {rejected} not accepted,")
    return receipts, tags


def _write_tables(config: PredictConfig, dataset: Dataset, manifest: PredictionManifest, out: str) -> None:
    """Write all predictions as one table in two formats, up to MAX_TABLE_ROWS, and markups on request."""
    uris = [storage.join(out, f"predictions.{suffix}") for suffix in ("parquet", "csv")]
    is_one_table = manifest.landmarks <= MAX_TABLE_ROWS
    if not is_one_table:
        for uri in uris:
            storage.delete(uri)  # of fewer objects
    if is_one_table or config.slicer:
        table = gather(out, manifest.parts)
        if is_one_table:
            parquet.write_table(uris[0], table)
            storage.write_bytes(uris[1], to_csv(table))
        if config.slicer:
            _write_markups(dataset, table, out)


def _write_markups(dataset: Dataset, table: pa.Table, out: str) -> None:
    """Write a file for each object with a prediction."""
    files = dataset.files
    predicted = table.filter(pc.is_valid(table["present"]))

    def write(rows: list[dict[str, Any]]) -> None:
        object_id = rows[0]["object_id"]
        uri = storage.join(out, "slicer", f"{object_id}.mrk.json")
        space = mesh_space(storage.read_bytes(dataset.mesh_uri(files[object_id].name))) or "LPS"
        storage.write_bytes(uri, to_markups(rows, space))

    with ThreadPoolExecutor(REQUESTS) as pool:
        list(pool.map(write, (list(rows) for _, rows in groupby(predicted.to_pylist(), itemgetter("object_id")))))


def _print_result(out: str, manifest: PredictionManifest, num_landmarks: int) -> None:
    is_one_file = manifest.landmarks <= MAX_TABLE_ROWS
    uri = f"{out}/predictions.csv" if is_one_file else parts_uri(out)
    note = "" if is_one_file else f"; a Parquet dataset, since one table has at most {MAX_TABLE_ROWS:,} rows"
    counts = {name: getattr(manifest, name) for name in COUNTS}
    print_result(f"{uri}: {_counted(manifest, num_landmarks)}{note}", {"predictions": uri, **counts})


def _counted(manifest: PredictionManifest, num_landmarks: int) -> str:
    """Return the numbers in words; of a single pair, the objects."""
    if num_landmarks <= len(SIDES):
        return f"{manifest.objects} objects, {manifest.accepted} accepted"
    return (
        f"{manifest.objects} objects, {manifest.accepted} with all landmarks accepted; "
        f"{manifest.accepted_landmarks} of {manifest.landmarks} landmarks accepted"
    )
