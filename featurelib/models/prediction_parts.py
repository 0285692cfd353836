"""Predictions on disk: a folder with a Parquet file for each part of the objects, and a manifest that names them.

A part's name is a hash of its meshes and of the models, so an existing part need not be predicted again. The manifest
is written last. Parts are read in parallel.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from featurelib.datasets.shards import by_bucket, num_buckets
from featurelib.errors import DataError
from featurelib.models.predictions import PREDICTIONS
from featurelib.runtime import parquet, storage

CONTENT = ["object_id", "mesh", "mesh_tag", "rotation_wxyz"]
"""Columns of a dataset's objects that a prediction depends on."""

REQUESTS = 32
"""Parallel requests. One at a time, 65,536 parts take 330 s at 5 ms each."""


COUNTS = ("objects", "accepted", "landmarks", "accepted_landmarks")
"""The numbers of a part and of a manifest."""


@dataclass(frozen=True)
class PartReceipt:
    """A part's file name and its numbers.

    objects: in it. accepted: objects with all landmarks accepted. landmarks, accepted_landmarks: rows.
    """

    name: str
    objects: int
    accepted: int
    landmarks: int
    accepted_landmarks: int

    @classmethod
    def of(cls, name: str, table: pa.Table) -> Self:
        """Return the receipt of a part with rows of PREDICTIONS."""
        objects = table.group_by("object_id").aggregate([("accepted", "all")])
        of_objects, of_landmarks = (
            int(pc.sum(column).as_py() or 0) for column in (objects["accepted_all"], table["accepted"])
        )
        return cls(name, len(objects), of_objects, len(table), of_landmarks)


@dataclass(frozen=True, eq=False)
class PartPlan:
    """A part of a dataset: its bucket, its objects, rows of the dataset's table, and its file name by their tags."""

    bucket: int
    objects: pa.Table
    name: str


@dataclass(frozen=True)
class PredictionManifest:
    """What a folder of predictions holds.

    dataset: URI. made_from: what was requested, with the hashes of the models. parts: file names, by bucket.
    objects, accepted, landmarks, accepted_landmarks: their numbers, as in PartReceipt.
    """

    dataset: str
    made_from: Mapping[str, Any]
    parts: tuple[str, ...]
    objects: int
    accepted: int
    landmarks: int
    accepted_landmarks: int

    @classmethod
    def of(cls, dataset: str, made_from: Mapping[str, Any], receipts: Sequence[PartReceipt]) -> Self:
        """Return the manifest of some parts."""
        names = tuple(sorted(receipt.name for receipt in receipts))
        return cls(dataset, made_from, names, *(sum(getattr(receipt, name) for receipt in receipts) for name in COUNTS))


def parts_uri(out: str) -> str:
    """Return the folder of the parts."""
    return storage.join(out, "parts")


def manifest_uri(out: str) -> str:
    """Return the URI of the manifest."""
    return storage.join(out, "manifest.json")


def plan_parts(objects: pa.Table, made_by: Sequence[Any]) -> list[PartPlan]:
    """Return the parts that have objects, in the order of their buckets.

    Args:
        objects: of schemas.objects_schema, sorted by object_id.
        made_by: JSON values: all that determines a prediction besides the mesh.
    """
    members = by_bucket(objects, num_buckets(len(objects)))
    return [PartPlan(i, table, part_name(i, table, made_by)) for i, table in enumerate(members) if len(table)]


def part_name(bucket: int, objects: pa.Table, made_by: Sequence[Any]) -> str:
    """Return the file name of a part. The arguments are those of plan_parts and PartPlan."""
    content = json.dumps([made_by, objects.select(CONTENT).to_pylist()], sort_keys=True)
    return f"{part_prefix(bucket)}{sha256(content.encode()).hexdigest()[:24]}.parquet"


def part_prefix(bucket: int) -> str:
    """Return the beginning of the file names of a bucket's parts."""
    return f"part-{bucket:05d}-"


def write_part(uri: str, rows: list[dict[str, Any]]) -> PartReceipt:
    """Write rows of PREDICTIONS as a part."""
    table = pa.Table.from_pylist(rows, schema=PREDICTIONS)
    parquet.write_table(uri, table)
    return PartReceipt.of(uri.rpartition("/")[2], table)


def read_receipts(out: str, names: Iterable[str]) -> list[PartReceipt]:
    """Return the receipts of existing parts; no more than REQUESTS of them are in memory at a time."""
    folder = parts_uri(out)

    def read(name: str) -> PartReceipt:
        return PartReceipt.of(name, parquet.read_table(storage.join(folder, name)))

    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(read, names))


def read_predictions(out: str) -> pa.Table:
    """Return all predictions of a folder, rows of PREDICTIONS sorted by object_id, with landmarks in the set's order.

    Raises:
        DataError: if the folder has no complete predictions.
    """
    return gather(out, open_predictions(out).parts)


def gather(out: str, names: Sequence[str]) -> pa.Table:
    """Return the rows of some parts, sorted by object_id; the rows of an object keep their order."""
    folder = parts_uri(out)
    with ThreadPoolExecutor(REQUESTS) as pool:
        tables = list(pool.map(lambda name: parquet.read_table(storage.join(folder, name)), names))
    return pa.concat_tables([PREDICTIONS.empty_table(), *tables]).sort_by("object_id")


def open_predictions(out: str) -> PredictionManifest:
    """Return the manifest of a folder.

    Raises:
        DataError: if there is none.
    """
    uri = manifest_uri(out)
    if not storage.exists(uri):
        raise DataError(f"{uri}: missing; `featurelib predict --out {out}` has not finished")
    values = json.loads(storage.read_bytes(uri))
    if not set(COUNTS).issubset(values):
        raise DataError(f"{uri}: written by another version of featurelib; run `featurelib predict` into a new --out")
    return PredictionManifest(**{**values, "parts": tuple(values["parts"])})


def is_finished(out: str, dataset: str, made_from: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Return whether the manifest names exactly these parts, from the same dataset and models."""
    if not storage.exists(manifest_uri(out)):
        return False
    manifest = open_predictions(out)
    return (manifest.dataset, manifest.made_from, manifest.parts) == (dataset, made_from, tuple(sorted(names)))


def commit(out: str, manifest: PredictionManifest) -> None:
    """Write the manifest, and delete the parts that it does not name."""
    storage.write_bytes(manifest_uri(out), json.dumps(asdict(manifest), indent=1).encode())
    folder, named = parts_uri(out), set(manifest.parts)
    stale = [entry.name for entry in storage.list_files(folder) if entry.name not in named]
    with ThreadPoolExecutor(REQUESTS) as pool:
        list(pool.map(lambda name: storage.delete(storage.join(folder, name)), stale))
