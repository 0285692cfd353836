"""A projection's folder of a run as it was listed: which shards exist, and the commit of a new set of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.shards.files import Receipt, read_receipt
from featurelib.datasets.shards.manifest import commit, is_finished, renders_uri
from featurelib.datasets.shards.plan import shard_prefix
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.runtime import storage


@dataclass(frozen=True, eq=False)
class Folder:
    """A folder and the spec of its images. tags: the storage tags of its files by name, at the time of the listing."""

    uri: str
    spec: RenderSpec
    tags: Mapping[str, str]

    @classmethod
    def of(cls, run: str, spec: RenderSpec) -> Self:
        """List the folder of a run and a projection."""
        uri = renders_uri(run, spec.projection)
        return cls(uri, spec, {entry.name: entry.tag for entry in storage.list_files(uri)})

    def is_finished(self, names: Sequence[str]) -> bool:
        """Whether the manifest names exactly these shards, and all exist."""
        return is_finished(self.uri, self.tags, names)

    def receipts(self, names: Sequence[str]) -> list[Receipt]:
        """Return the receipts of those of the shards that exist."""
        return [read_receipt(storage.join(self.uri, name)) for name in names if name in self.tags]

    def shards_of(self, bucket: int) -> frozenset[str]:
        """Return the names of a bucket's shards that exist, whatever their content."""
        return frozenset(self._by_prefix[shard_prefix(bucket)])

    def commit(self, dataset: Dataset, receipts: Sequence[Receipt]) -> None:
        """Commit shards of a dataset, and delete the shards that the new manifest does not name.

        Raises:
            ConflictError: if another run committed other images since the listing.
        """
        replaced = self.tags.get("manifest.json")
        objects_in = len(dataset.objects)
        manifest = commit(self.uri, dataset.uri, dataset.landmarks, self.spec, receipts, objects_in, replaced)
        named = set(manifest.shards)
        for entry in storage.list_files(self.uri):
            if entry.name.startswith("shard-") and entry.name not in named:
                storage.delete(storage.join(self.uri, entry.name))

    @cached_property
    def _by_prefix(self) -> defaultdict[str, list[str]]:
        found = defaultdict(list)
        for name in self.tags:
            found[name[: name.rfind("-") + 1]].append(name)
        return found
