"""The labels of many objects by columns, since there may be a million objects."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa

from featurelib.datasets.objects_table import Extra


@dataclass(frozen=True)
class Landmarks:
    """The labels of n objects with k landmarks, by columns.

    values: 3k numbers per object, NaN where not labelled; none at all without labels.
    absent: k flags per object; none at all without labels. extras: by object, from a table of one row per object.
    places: the position of each object in object_ids; empty without labels.
    """

    num_landmarks: int
    object_ids: list[str]
    values: array = field(default_factory=lambda: array("d"))
    absent: bytearray = field(default_factory=bytearray)
    extras: dict[str, Extra] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    @classmethod
    def without_labels(cls, object_ids: Iterable[str], num_landmarks: int) -> Self:
        """Return objects without labels."""
        return cls(num_landmarks, list(object_ids))

    def add_object(self, object_id: str, values: Iterable[float], extra: Extra | None = None) -> int:
        """Add an object with the 3k numbers of its landmarks; return its place."""
        place = self.places[object_id] = len(self.object_ids)
        self.object_ids.append(object_id)
        self.values.extend(values)
        self.absent.extend(bytes(self.num_landmarks))
        if extra is not None:
            self.extras[object_id] = extra
        return place

    def add_point(self, object_id: str, index: int, xyz: Sequence[float] | None) -> None:
        """Add a landmark of an object, which is added with its first one; None if the landmark is absent."""
        place = self.places.get(object_id)
        if place is None:
            place = self.add_object(object_id, [np.nan] * (3 * self.num_landmarks))
        at = place * self.num_landmarks + index
        if xyz is None:
            self.absent[at] = True
        else:
            self.values[3 * at : 3 * at + 3] = array("d", xyz)

    def has(self, object_id: str, index: int) -> bool:
        """Return whether a landmark of an object is labelled or absent."""
        place = self.places.get(object_id)
        if place is None:
            return False
        at = place * self.num_landmarks + index
        return bool(self.absent[at]) or self.values[3 * at] == self.values[3 * at]

    def points_column(self) -> pa.Array:
        """Return the positions of each object's landmarks, 3k numbers; nulls without labels."""
        size = 3 * self.num_landmarks
        if not self.values:
            return pa.nulls(len(self.object_ids), pa.list_(pa.float64(), size))
        return pa.FixedSizeListArray.from_arrays(pa.array(np.frombuffer(self.values, dtype=np.float64)), size)

    def absent_column(self) -> pa.Array:
        """Return the absent landmarks of each object, k flags; nulls without labels."""
        if not self.absent:
            return pa.nulls(len(self.object_ids), pa.list_(pa.bool_(), self.num_landmarks))
        return pa.FixedSizeListArray.from_arrays(
            pa.array(np.frombuffer(self.absent, dtype=np.bool_)), self.num_landmarks
        )
