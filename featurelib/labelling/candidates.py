"""Which objects of a dataset may be labelled next, and which are labelled already.

Objects that would be in the test split are never named: labels chosen because they are hard would no longer tell how
large errors usually are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.objects_table import read_objects
from featurelib.datasets.shards.recorded_splits import RecordedSplits
from featurelib.datasets.splits import split_of
from featurelib.runtime import storage


@dataclass(frozen=True, eq=False)
class Candidates:
    """The objects of a dataset.

    everything: all meshes. labelled: the objects with labels; None without any. test_ids: objects, with and without
    labels, that belong to the test split of a run; empty without a run.
    """

    everything: Dataset
    labelled: Dataset | None
    test_ids: frozenset[str]

    @classmethod
    def of(cls, dataset_uri: str, run: str | None = None) -> Self:
        """Read a dataset, and the splits that a run has recorded.

        Raises:
            DataError: if the dataset or the record cannot be read.
        """
        everything = open_dataset(dataset_uri, labelled=False)
        recorded = RecordedSplits.of(run).splits if run else {}
        has_labels = storage.exists(storage.join(everything.uri, "landmarks.csv"))
        labelled = open_dataset(dataset_uri, splits=recorded) if has_labels else None
        test_ids = _test_ids(everything, labelled, recorded) if run else frozenset[str]()
        return cls(everything, labelled, test_ids)

    @property
    def labelled_ids(self) -> frozenset[str]:
        """The objects with at least one landmark that is placed or absent."""
        return frozenset(self.labelled.objects["object_id"].to_pylist() if self.labelled else ())

    @property
    def ids(self) -> list[str]:
        """The objects that may be labelled, sorted: with a mesh, without a label and not for testing."""
        return [i for i in self.everything.files if i not in self.labelled_ids and i not in self.test_ids]


def _test_ids(everything: Dataset, labelled: Dataset | None, recorded: Mapping[str, str] | None) -> frozenset[str]:
    """Return the objects that are in the test split once they are labelled, as far as that is settled.

    Their group is in it already, `objects.csv` puts them there, or the hash of the group's name does.
    """
    splits = dict(recorded or {})
    if labelled is not None:
        splits |= dict(zip(*(labelled.objects[name].to_pylist() for name in ("group", "split")), strict=True))
    is_by_hash = recorded is None or (labelled is not None and labelled.free_groups is None)
    uri = storage.join(everything.uri, "objects.csv")
    extras = read_objects(storage.read_bytes(uri), uri) if storage.exists(uri) else {}
    groups = dict(zip(*(everything.objects[name].to_pylist() for name in ("object_id", "group")), strict=True))
    splits |= {groups.get(i, i): extra.split for i, extra in extras.items() if extra.split}
    by_group = {g: splits.get(g) or (split_of(g) if is_by_hash else "") for g in groups.values()}
    return frozenset(i for i, group in groups.items() if by_group[group] == "test")
