"""Folds for cross-fitting: whole groups are dealt into folds, and each object is predicted by models without its fold.

Fold i of a run is a run of its own, `RUN/folds/<i>`, on the images of RUN. Its test objects are those of fold i, its
validation objects those of the next fold, and its training objects all others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.group_records import read_record, write_record
from featurelib.datasets.splits import EVERY, stable_fraction
from featurelib.errors import DataError, UsageError
from featurelib.runtime import storage

MIN_FOLDS = 3
"""One fold is for testing, one for validation, and one at least for training."""

MEASURED_OBJECTS = 280
"""Training objects on which the default numbers of epochs and crops were measured."""

MAX_COST = 2.5
"""Cost of all folds and a final training of a small dataset, in trainings."""


@dataclass(frozen=True)
class Folds:
    """The folds of a run.

    run: URI of the run. count: of folds. fold_of: by object.
    """

    run: str
    count: int
    fold_of: Mapping[str, int]

    @property
    def runs(self) -> list[str]:
        """The URIs of the folds' own runs."""
        return [fold_uri(self.run, fold) for fold in range(self.count)]

    @property
    def final_splits(self) -> dict[str, str]:
        """The splits of a final training, by object."""
        return dict.fromkeys(self.fold_of, EVERY)

    @property
    def sizes(self) -> list[int]:
        """The number of objects of each fold."""
        return np.bincount(list(self.fold_of.values()), minlength=self.count).tolist()

    def splits(self, fold: int) -> dict[str, str]:
        """Return the splits of a fold's own run, by object."""
        of_fold = {fold: "test", (fold + 1) % self.count: "val"}
        return {object_id: of_fold.get(of_one, "train") for object_id, of_one in self.fold_of.items()}

    def numbers(self, object_ids: Iterable[str]) -> NDArray[np.intp]:
        """Return the fold (n,) of each object."""
        return np.array([self.fold_of[str(object_id)] for object_id in object_ids], dtype=np.intp)


def fold_uri(run: str, fold: int) -> str:
    """Return the run of a fold."""
    return storage.join(storage.absolute(run), "folds", str(fold))


def assign_folds(groups: Sequence[str], count: int, known: Mapping[str, int]) -> list[int]:
    """Return the fold of each object. The largest new group comes first, and each goes to the smallest fold.

    So no fold has more objects than another one by more than the largest group. The order of the objects does not
    matter.

    Args:
        groups: the group of each object.
        count: number of folds.
        known: the folds of an earlier assignment, by group, which stay.

    Raises:
        UsageError: if there are fewer than MIN_FOLDS folds, or fewer groups than folds.
    """
    sizes = Counter(groups)
    if not MIN_FOLDS <= count <= len(sizes):
        raise UsageError(
            f"--folds {count}: expected {MIN_FOLDS} or more, and at most one for each of the {len(sizes)} groups"
        )
    folds = {group: known[group] for group in sizes if group in known}
    counts = dict.fromkeys(range(count), 0)
    for group, fold in folds.items():
        counts[fold] += sizes[group]
    for group in sorted(sizes.keys() - folds.keys(), key=lambda group: (-sizes[group], stable_fraction(group), group)):
        folds[group] = min(counts, key=lambda fold: (counts[fold], fold))
        counts[folds[group]] += sizes[group]
    return [folds[group] for group in groups]


def refuse_folds(dataset: Dataset, count: int) -> None:
    """Raise an error if a dataset cannot be dealt into `count` folds.

    Raises:
        UsageError: as of `assign_folds`.
        DataError: if the user fixed splits, which folds would ignore.
    """
    if dataset.has_fixed_splits:
        raise DataError(
            f"{dataset.uri}: its tables fix the `split` of some objects, but --folds deals all objects; remove the "
            "column `split`, or leave out --folds"
        )
    assign_folds(dataset.objects["group"].to_pylist(), count, {})


def deal(run: str, group_of: Mapping[str, str], count: int) -> Folds:
    """Return the folds of objects, by their groups, and record them in `folds/folds.csv`.

    A group that is recorded stays in its fold, unless the number of folds changed.

    Raises:
        UsageError: as of `assign_folds`.
        DataError: if the record cannot be read.
        ConflictError: if another run wrote other folds in the meantime.
    """
    uri = storage.join(storage.absolute(run), "folds", "folds.csv")
    tag = storage.tag(uri)
    known = _read(uri) if tag else {}
    if len({*known.values()}) != count or max(known.values()) >= count:
        known = {}
    folds = assign_folds(list(group_of.values()), count, known)
    both = {**known, **dict(zip(group_of.values(), folds, strict=True))}
    if both != known:
        write_record(uri, "fold", both, tag)
    return Folds(storage.absolute(run), count, dict(zip(group_of, folds, strict=True)))


def picture_share(num_training: int, count: int) -> float:
    """Return the share of a training's pictures that a fold is trained on: epochs of views, and crops.

    The defaults were measured on MEASURED_OBJECTS training objects, and fewer objects need fewer pictures. The share is
    at least what MAX_COST leaves to each fold beside a final training: 0.3 for five folds.

    Args:
        num_training: training objects of the fold.
        count: number of folds.
    """
    return min(1.0, max(num_training / MEASURED_OBJECTS, (MAX_COST - 1) / count))


def resplit(table: pa.Table, splits: Mapping[str, str] | None) -> pa.Table:
    """Return the rows of the objects that have one of these splits, with that split; None changes nothing.

    Args:
        table: with the columns object_id and split.
        splits: by object.
    """
    if splits is None:
        return table
    rows = table.filter(pc.is_in(table["object_id"], value_set=pa.array(list(splits), pa.string())))
    column = pa.array([splits[object_id] for object_id in rows["object_id"].to_pylist()], pa.string())
    return rows.set_column(rows.column_names.index("split"), "split", column)


def _read(uri: str) -> dict[str, int]:
    found = {}
    for line in read_record(uri, "fold"):
        if not line.row["fold"].isdecimal():
            raise DataError(f"{line.place}: fold {line.row['fold']!r}; expected a number from 0 on")
        found[line.row["group"]] = int(line.row["fold"])
    return found
