"""The manifest of a rendered dataset: written last, so that a folder with a manifest is complete."""

import json
import posixpath
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self

import pyarrow as pa

from featurelib.datasets.dataset_json import set_values
from featurelib.datasets.schemas import REJECTS, SCHEMA_VERSION
from featurelib.datasets.shards.files import Receipt
from featurelib.datasets.shards.plan import bucket_of
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.splits import EVERY
from featurelib.errors import ConflictError, DataError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import parquet, storage


@dataclass(frozen=True)
class Manifest:
    """The content of RUN/renders/<projection>.

    uri: the folder. dataset: URI of the rendered dataset. landmarks: its set.
    spec: what shaped the images. objects, views: counts by split. rejected: number of objects without views.
    channels: 1 for grey images, 3 if any has colour. shards: file names in the order of their buckets.
    splits: by object, instead of those in the shards; only these objects count. None for the shards' own.
    shards_folder: of the shards, relative to `uri`; another one if the images of another run are shared.
    """

    uri: str
    dataset: str
    landmarks: LandmarkSet
    spec: RenderSpec
    objects: dict[str, int]
    views: dict[str, int]
    rejected: int
    channels: int
    shards: tuple[str, ...]
    splits: Mapping[str, str] | None = None
    shards_folder: str = "."

    @property
    def shards_uri(self) -> str:
        """The folder of the shards."""
        return storage.resolve(self.uri, self.shards_folder)

    @property
    def shard_uris(self) -> list[str]:
        """The URIs of all shards."""
        return [storage.join(self.shards_uri, name) for name in self.shards]

    @property
    def content_hash(self) -> str:
        """A hash of the shards' names, which hold the inputs and all that shaped the images, and of other splits."""
        splits = json.dumps(self.splits, sort_keys=True) if self.splits else ""
        return sha256(("".join(self.shards) + splits).encode()).hexdigest()

    def shard_of(self, object_id: str) -> str:
        """Return the URI of the shard that would hold an object."""
        return storage.join(self.shards_uri, self.shards[bucket_of(object_id, len(self.shards))])

    def rows_of(self, split: str) -> dict[str, Any]:
        """Return the arguments of `read_views` that take the rows of a split."""
        if self.splits is None:
            return {"split": split}
        return {"object_ids": [object_id for object_id, own in self.splits.items() if split in _each(own)]}

    def with_splits(self, splits: Mapping[str, str], uri: str | None = None) -> Self:
        """Return a view on the same images, with other splits of some or all of their objects.

        Args:
            splits: by object; EVERY counts as training and as validation. Objects without a split do not take part.
            uri: of the view's own folder, below the run; default: none of its own.
        """
        counts = dict(sorted(Counter(split for own in splits.values() for split in _each(own)).items()))
        views = {split: count * len(self.spec.rig) for split, count in counts.items()}
        folder = posixpath.relpath(self.shards_uri, uri) if uri else self.shards_folder
        changed = replace(self, objects=counts, views=views, splits=dict(sorted(splits.items())))
        return replace(changed, uri=uri or self.uri, shards_folder=folder)

    def write(self) -> None:
        """Write the manifest into its folder, if it is not there already."""
        content, uri = json.dumps(self.to_dict(), indent=1).encode(), storage.join(self.uri, "manifest.json")
        if not storage.exists(uri) or storage.read_bytes(uri) != content:
            storage.write_bytes(uri, content)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the folder's URI."""
        return {
            "schema": SCHEMA_VERSION,
            "config": {"dataset": self.dataset, **set_values(self.landmarks), **self.spec.to_dict()},
            "landmarks_hash": self.landmarks.hash,
            "content_hash": self.content_hash,
            **{name: getattr(self, name) for name in ("objects", "views", "rejected", "channels")},
            "shards": list(self.shards),
            **({"shards_folder": self.shards_folder, "splits": self.splits} if self.splits else {}),
        }

    @classmethod
    def from_dict(cls, uri: str, values: dict[str, Any]) -> Self:
        """Return the manifest that `to_dict` wrote into the folder `uri`."""
        config = dict(values["config"])
        return cls(
            uri=uri,
            dataset=config.pop("dataset"),
            landmarks=LandmarkSet.from_dict(config.pop("landmarks"), config.pop("mirror"), name=uri),
            spec=RenderSpec.from_dict(config),
            **{name: values[name] for name in ("objects", "views", "rejected", "channels")},
            shards=tuple(values["shards"]),
            splits=values.get("splits"),
            shards_folder=values.get("shards_folder", "."),
        )


def renders_uri(run: str, projection: str) -> str:
    """Return the folder of a projection's images."""
    return storage.join(storage.absolute(run), "renders", projection)


def open_renders(run: str, projection: str) -> Manifest:
    """Return the manifest of a finished rendering.

    Raises:
        DataError: if there is none (the rendering has not finished) or it is of another version.
    """
    uri = renders_uri(run, projection)
    manifest = storage.join(uri, "manifest.json")
    if not storage.exists(manifest):
        raise DataError(f"{uri}: no manifest.json: the rendering has not finished; run `featurelib render`")
    refuse_other_version(uri)
    return Manifest.from_dict(uri, json.loads(storage.read_bytes(manifest)))


def refuse_other_version(uri: str) -> None:
    """Raise DataError if the folder `uri` has a manifest of another SCHEMA_VERSION."""
    manifest = storage.join(uri, "manifest.json")
    if not storage.exists(manifest):
        return
    schema = json.loads(storage.read_bytes(manifest)).get("schema")
    if schema != SCHEMA_VERSION:
        raise DataError(
            f"{manifest}: written by another version of featurelib (schema {schema}, this one reads {SCHEMA_VERSION}); "
            "run the pipeline again into a new --run"
        )


def is_finished(uri: str, present: Collection[str], names: Sequence[str]) -> bool:
    """Whether the folder `uri`, with these files, has a manifest that names exactly these shards, and all exist."""
    if "manifest.json" not in present or not all(name in present for name in names):
        return False
    return json.loads(storage.read_bytes(storage.join(uri, "manifest.json")))["shards"] == list(names)


def commit(
    uri: str,
    dataset: str,
    landmarks: LandmarkSet,
    spec: RenderSpec,
    receipts: Sequence[Receipt],
    objects_in: int,
    expected_tag: str | None = None,
) -> Manifest:
    """Write rejects.parquet and then manifest.json, and return the manifest.

    `expected_tag` is the storage tag of the manifest that this one replaces, None without one. Of two concurrent runs
    that would commit different images, only one succeeds.

    Raises:
        ConflictError: if another run committed other images in the meantime.
        DataError: if a bucket does not have exactly one receipt, or if the number of objects differs from rendered
            plus rejected ones; nothing is written then.
    """
    receipts = sorted(receipts, key=lambda receipt: receipt.bucket)
    buckets = [receipt.bucket for receipt in receipts]
    if buckets != list(range(len(buckets))):  # shard_of needs it
        raise DataError(f"{uri}: shards of the buckets {buckets}; expected one of each, 0 to {len(buckets) - 1}")
    rejects = sorted((row for receipt in receipts for row in receipt.rejects), key=lambda row: row["object_id"])
    objects = _total(receipt.objects for receipt in receipts)
    if sum(objects.values()) + len(rejects) != objects_in:
        raise DataError(
            f"{uri}: {objects_in} objects in, but {sum(objects.values())} rendered and {len(rejects)} rejected"
        )
    manifest = Manifest(
        uri=uri,
        dataset=dataset,
        landmarks=landmarks,
        spec=spec,
        objects=objects,
        views=_total(receipt.views for receipt in receipts),
        rejected=len(rejects),
        channels=max((receipt.channels for receipt in receipts), default=0),
        shards=tuple(receipt.name for receipt in receipts),
    )
    parquet.write_table(storage.join(uri, "rejects.parquet"), pa.Table.from_pylist(rejects, schema=REJECTS))
    _swap(storage.join(uri, "manifest.json"), json.dumps(manifest.to_dict(), indent=1).encode(), expected_tag)
    return manifest


def _each(split: str) -> tuple[str, ...]:
    """Return the splits in which an object of this one counts."""
    return ("train", "val") if split == EVERY else (split,)


def _swap(uri: str, content: bytes, expected_tag: str | None) -> None:
    """Write the manifest; it is no conflict if another run has written the same content."""
    try:
        storage.swap_bytes(uri, content, expected_tag)
    except ConflictError:
        if storage.read_bytes(uri) != content:
            raise ConflictError(f"{uri}: another run committed other images in the meantime; run again") from None


def _total(counts: Any) -> dict[str, int]:
    return dict(sorted(sum((Counter(count) for count in counts), Counter()).items()))
