"""Manifests that hold fewer or more training samples than a run: some of its shards, or all of them repeatedly."""

from dataclasses import replace

from featurelib.datasets.shards import Manifest, read_receipt
from featurelib.runtime import storage


def training_excerpt(manifest: Manifest, samples: int) -> Manifest:
    """Return a manifest of the first shards, with at most `samples` training samples but at least one shard.

    It counts training views only; a view makes two samples, itself and its mirror image.
    """
    shards: list[str] = []
    views = 0
    for name in manifest.shards:
        more = read_receipt(storage.join(manifest.uri, name)).views.get("train", 0)
        if shards and 2 * (views + more) > samples:
            break
        shards, views = [*shards, name], views + more
    return replace(manifest, shards=tuple(shards), views={"train": views, "val": 0})


def repeat_shards(manifest: Manifest, samples: int) -> Manifest:
    """Return a manifest that repeats all shards, up to `samples` training samples per epoch but at least once."""
    times = max(1, samples // (2 * manifest.views["train"]))
    views = {split: times * count for split, count in manifest.views.items()}
    return replace(manifest, shards=manifest.shards * times, views=views)


def resize(manifest: Manifest, samples: int) -> Manifest:
    """Return a manifest with about `samples` training samples per epoch, and validation views.

    Position and split of a shard both follow from its objects' ids, so the first shards may hold training views only.
    The first shard with validation views is therefore always included.
    """
    excerpt = training_excerpt(manifest, samples)
    views = {name: read_receipt(storage.join(manifest.uri, name)).views for name in manifest.shards}
    validating = next(name for name, of_shard in views.items() if of_shard.get("val"))
    shards = tuple(dict.fromkeys((*excerpt.shards, validating)))
    counts = {split: sum(views[name].get(split, 0) for name in shards) for split in ("train", "val")}
    return repeat_shards(replace(excerpt, shards=shards, views=counts), samples)


def copy_shards(manifest: Manifest, uri: str) -> Manifest:
    """Copy the shards into another folder and return the manifest of the copies."""
    for name in manifest.shards:
        storage.write_bytes(storage.join(uri, name), storage.read_bytes(storage.join(manifest.uri, name)))
    return replace(manifest, uri=uri)
