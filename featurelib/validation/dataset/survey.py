"""The input of the rules: a dataset's table, its files, one measurement per object, and statistics over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.faults import Fault
from featurelib.datasets.shards.frame import estimate_frame_mm, frame_sample
from featurelib.geometry import PROJECTIONS
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.reference import Fit
from featurelib.meshes.shape import MIN_FOR_SPREAD, SIGMAS_PER_MAD
from featurelib.validation.dataset.measure import Labelled, Measurement, Unread

TURNED_DEG = 45.0
"""An object rotated by more than this against the others is in other axes. Heads in poses of 15 degrees reach 20."""

OFF_SHARE, OFF_SIGMAS = 0.01, 8.0
"""A landmark is off the surface if its distance exceeds this share of the size (4 mm on a head) and exceeds the
dataset's median by this many standard deviations."""

FAR_OFF_SHARE, MOST_OFF = 0.05, 0.9
"""A landmark off the surface by more than this share of the size (20 mm on a head) is named whatever the others are,
unless this share of all landmarks is: then labels and meshes are in different frames, which is one finding."""

ONE_PLACE = 0.005
"""Two landmarks closer to each other than this share of the object's size are one point."""

UNLIKE_SIGMAS, UNLIKE_SHARE = 10.0, 0.015
"""The reference does not fit an object if the misfit exceeds the median by this many standard deviations and exceeds
this share of the size (7 mm on a head). Of 400 heads and 60 synthetic busts the median is 0.4 % and the worst 0.9 %."""


class Spread(NamedTuple):
    """The median of some numbers and a robust standard deviation."""

    median: float
    sigma: float

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Return median and scaled median absolute deviation of numbers (n,), n > 0."""
        numbers = np.asarray(values, dtype=np.float64)
        median = float(np.median(numbers))
        return cls(median, SIGMAS_PER_MAD * float(np.median(np.abs(numbers - median))))


@dataclass(frozen=True, eq=False)
class Survey:
    """A dataset as the rules see it.

    dataset: its table holds the objects that were measured. is_labelled: whether there is a `landmarks.csv`.
    faults: of single rows and files; these rows are not in the table.
    files: the names of all files in `meshes/`.
    measured, unread: the objects whose mesh file could and could not be measured.
    reference: the shape that they were compared with.
    """

    dataset: Dataset
    is_labelled: bool
    faults: Sequence[Fault]
    files: Sequence[str]
    measured: Sequence[Measurement]
    unread: Sequence[Unread]
    reference: ReferenceShape | None

    @cached_property
    def typical_size_mm(self) -> Spread:
        """The spread of the natural logarithm of the sizes in mm."""
        return Spread.of(np.log([row.size_mm for row in self.measured]))

    @cached_property
    def has_spread(self) -> bool:
        """Whether there are enough objects to compare one with the others."""
        return len(self.measured) >= MIN_FOR_SPREAD

    @cached_property
    def typical_misfit(self) -> Spread:
        """The spread of the reference's misfit; an infinite median without any fit."""
        misfits = [row.fit.misfit for row in self.measured if row.fit is not None]
        return Spread.of(misfits) if misfits else Spread(np.inf, 0.0)

    @cached_property
    def unlike(self) -> frozenset[str]:
        """The objects that the reference does not fit."""
        if self.reference is None or not self.has_spread:
            return frozenset()
        limit = max(self.typical_misfit.median + UNLIKE_SIGMAS * self.typical_misfit.sigma, UNLIKE_SHARE)
        return frozenset(row.object_id for row in self.measured if row.fit is None or row.fit.misfit > limit)

    @cached_property
    def with_strays(self) -> frozenset[str]:
        """The objects with parts far from the rest."""
        return frozenset(row.object_id for row in self.measured if row.strays is not None)

    @cached_property
    def turned(self) -> Mapping[str, Fit]:
        """The fits of the objects that are rotated against the others, by id; stray parts make a fit useless."""
        fits = {row.object_id: row.fit for row in self.measured if row.fit is not None and self.has_spread}
        return {
            name: fit
            for name, fit in fits.items()
            if fit.angle_deg > TURNED_DEG and name not in self.unlike | self.with_strays
        }

    @cached_property
    def labelled(self) -> Sequence[tuple[Measurement, Labelled]]:
        """The objects with labels, and the measurements of these."""
        return [(row, row.labels) for row in self.measured if row.labels is not None]

    @cached_property
    def typical_off(self) -> Spread:
        """The spread of the landmarks' distances from the surface, as shares of the size; there must be labels."""
        return Spread.of(np.concatenate([labels.off_mm / row.size_mm for row, labels in self.labelled]))

    @cached_property
    def off_limit(self) -> float:
        """The share of the size beyond which a landmark is off the surface."""
        limit = max(OFF_SHARE, self.typical_off.median + OFF_SIGMAS * self.typical_off.sigma)
        shares = np.concatenate([labels.off_mm / row.size_mm for row, labels in self.labelled])
        return limit if np.mean(shares > FAR_OFF_SHARE) > MOST_OFF else min(limit, FAR_OFF_SHARE)

    @cached_property
    def fitted(self) -> Sequence[tuple[Measurement, NDArray[np.float64]]]:
        """The labelled objects that the reference was registered to, and their landmarks (2, 3) in its frame.

        Stray parts pull the reference away, so their objects are left out.
        """
        fits = [(row, row.fit) for row, _ in self.labelled if row.object_id not in self.with_strays]
        return [(row, fit.pair) for row, fit in fits if fit is not None and fit.pair is not None]

    @cached_property
    def typical_pair(self) -> NDArray[np.float64] | None:
        """(2, 3) the median landmarks in the reference's frame; None if there are too few objects."""
        return np.median([pair for _, pair in self.fitted], axis=0) if len(self.fitted) >= MIN_FOR_SPREAD else None

    @cached_property
    def in_one_place(self) -> frozenset[str]:
        """The objects whose left and right are the same point."""
        near = ((row, labels) for row, labels in self.labelled if labels.apart_mm < ONE_PLACE * row.size_mm)
        return frozenset(row.object_id for row, _ in near)

    @cached_property
    def labels_axis(self) -> NDArray[np.float64] | None:
        """(3,) the median unit vector from right to left, object frame; shorter than 1 if objects disagree."""
        across = [labels.landmarks_mm[0] - labels.landmarks_mm[1] for _, labels in self.labelled]
        lengths = np.linalg.norm(across, axis=1, keepdims=True) if across else np.zeros(0)
        known = lengths.ravel() > 0
        return np.median((np.array(across) / np.maximum(lengths, 1e-12))[known], axis=0) if known.any() else None

    @cached_property
    def swapped(self) -> frozenset[str]:
        """The objects whose left and right are exchanged compared with most objects."""
        if self.typical_pair is not None:
            pairs, axis = (
                {row.object_id: pair for row, pair in self.fitted},
                self.typical_pair[0] - self.typical_pair[1],
            )
        elif self.labels_axis is not None:
            pairs, axis = {row.object_id: labels.landmarks_mm for row, labels in self.labelled}, self.labels_axis
        else:
            return frozenset()
        return frozenset(name for name, pair in pairs.items() if _cosine(pair[0] - pair[1], axis) < -0.5)

    @cached_property
    def in_table(self) -> Mapping[str, Mapping[str, str]]:
        """Mesh file, group and split of the table's objects, by id."""
        rows = self.dataset.objects.select(["object_id", "mesh", "group", "split"]).to_pylist()
        return {row["object_id"]: row for row in rows}

    @cached_property
    def frames_mm(self) -> Mapping[str, float]:
        """The image width that `render` would estimate, by projection; empty if no mesh can be read."""
        rows = {row.object_id: row for row in self.measured}
        with_mesh = [object_id for object_id, row in self.in_table.items() if row["mesh"]]
        needed = [rows[object_id].frames_mm for object_id in frame_sample(with_mesh) if object_id in rows]
        return {p: estimate_frame_mm([found[p] for found in needed]) for p in PROJECTIONS if needed}


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
