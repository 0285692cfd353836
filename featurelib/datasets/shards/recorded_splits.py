"""The splits of a run, `renders/splits.csv`: what is in a split stays in it when objects are added.

With few groups the split of a group depends on the other groups (datasets/splits.py), so the first rendering of a run
writes it down, and later ones add the new groups. A run that was rendered without a record has the splits of the
groups' hashes, and keeps to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.group_records import read_record, write_record
from featurelib.datasets.shards.manifest import renders_uri
from featurelib.datasets.splits import SPLITS
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS
from featurelib.runtime import storage


@dataclass(frozen=True)
class RecordedSplits:
    """The record of a run as it was read.

    uri: of the file. tag: its storage tag, None without a file.
    splits: by group; None if the run was rendered without a record.
    """

    uri: str
    tag: str | None
    splits: Mapping[str, str] | None

    @classmethod
    def of(cls, run: str, start_from: str | None = None) -> Self:
        """Read the record of a run.

        Args:
            run: its folder.
            start_from: an earlier run, whose groups stay in their splits.

        Raises:
            DataError: if a row has no split.
        """
        uri = storage.join(storage.absolute(run), "renders", "splits.csv")
        manifests = [storage.join(renders_uri(run, projection), "manifest.json") for projection in PROJECTIONS]
        is_rendered = any(map(storage.exists, manifests))  # before the record, which is written before a manifest
        tag = storage.tag(uri)
        if tag or is_rendered or not start_from:
            return cls(uri, tag, _read(uri) if tag else None if is_rendered else {})
        return cls(uri, None, cls.of(start_from).splits)

    def extend(self, dataset: Dataset) -> None:
        """Write the splits of a dataset that was opened with these ones, if they are not the record already.

        Raises:
            ConflictError: if another run wrote other splits in the meantime.
        """
        if dataset.free_groups is None:
            return
        pairs = zip(*(dataset.objects[name].to_pylist() for name in ("group", "split")), strict=True)
        both = {**(self.splits or {}), **{group: split for group, split in pairs if group in dataset.free_groups}}
        if self.tag and both == self.splits:
            return
        write_record(self.uri, "split", both, self.tag)


def _read(uri: str) -> dict[str, str]:
    found = {}
    for line in read_record(uri, "split"):
        group, split = line.row["group"], line.row["split"]
        if split not in SPLITS:
            raise DataError(f"{line.place}: split {split!r}; expected {', '.join(SPLITS)}")
        found[group] = split
    return found
