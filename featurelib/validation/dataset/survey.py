"""The input of the rules: a dataset's table, its files, one measurement per object, and statistics over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.faults import Fault
from featurelib.datasets.shards.frame import estimate_frame_mm, frame_sample
from featurelib.geometry import PROJECTIONS
from featurelib.labelling.suspects import Suspect
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.reference import Fit
from featurelib.meshes.shape import MIN_FOR_SPREAD
from featurelib.validation.dataset.measure import Labelled, Measurement, Unread
from featurelib.validation.dataset.mistakes import label_suspects
from featurelib.validation.dataset.statistics import Spread, across, medians, opposite, same_place

TURNED_DEG = 45.0
"""An object rotated by more than this against the others is in other axes. Heads in poses of 15 degrees reach 20."""

OFF_SHARE, OFF_SIGMAS = 0.01, 8.0
"""A landmark is off the surface if its distance exceeds this share of the size (4 mm on a head) and exceeds the
dataset's median by this many standard deviations."""

FAR_OFF_SHARE, MOST_OFF = 0.05, 0.9
"""A landmark off the surface by more than this share of the size (20 mm on a head) is named whatever the others are,
unless this share of all landmarks is: then labels and meshes are in different frames, which is one finding. A landmark
that is off in this share of the objects is one finding, too."""

UNLIKE_SIGMAS, UNLIKE_SHARE = 10.0, 0.015
"""The reference does not fit an object if the misfit exceeds the median by this many standard deviations and exceeds
this share of the size (7 mm on a head). Of 400 heads and 60 synthetic busts the median is 0.4 % and the worst 0.9 %."""


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
    def off_shares(self) -> NDArray[np.float64]:
        """(n, k) the landmarks' distances from the surface, as shares of the size, of the labelled objects."""
        return np.array([labels.off_mm / row.size_mm for row, labels in self.labelled])

    @cached_property
    def typical_off(self) -> Spread:
        """The spread of `off_shares` over all landmarks; there must be labels."""
        return Spread.of(self.off_shares[np.isfinite(self.off_shares)])

    @cached_property
    def off_limit(self) -> float:
        """The share of the size beyond which a landmark is off the surface."""
        limit = max(OFF_SHARE, self.typical_off.median + OFF_SIGMAS * self.typical_off.sigma)
        shares = self.off_shares[np.isfinite(self.off_shares)]
        return limit if np.mean(shares > FAR_OFF_SHARE) > MOST_OFF else min(limit, FAR_OFF_SHARE)

    @cached_property
    def mostly_off(self) -> NDArray[np.bool_]:
        """(k,) whether a landmark is off the surface in nearly all objects, as the centre of an eye's orbit is.

        None is if there are too few objects, or if most landmarks are off: then labels and meshes do not fit.
        """
        counts = np.isfinite(self.off_shares).sum(axis=0)
        num_off = (self.off_shares > self.off_limit).sum(axis=0)
        is_off = (counts >= MIN_FOR_SPREAD) & (num_off > MOST_OFF * counts)
        return np.asarray(is_off & (is_off.mean() <= 0.5))

    @property
    def names(self) -> Sequence[str]:
        """The names of the landmarks."""
        return self.dataset.landmarks.names

    @property
    def pairs(self) -> NDArray[np.intp]:
        """(p, 2) indices of the left and right landmarks of the pairs; none if a mirrored object has the same names."""
        landmarks = self.dataset.landmarks
        return landmarks.slots[: len(landmarks.pairs) * (landmarks.mirror != "same")]

    @cached_property
    def fitted(self) -> Sequence[tuple[Measurement, NDArray[np.float64]]]:
        """The labelled objects that the reference was registered to, and their landmarks (k, 3) in its frame.

        Stray parts pull the reference away, so their objects are left out.
        """
        fits = [(row, row.fit) for row, _ in self.labelled if row.object_id not in self.with_strays]
        return [(row, fit.landmarks) for row, fit in fits if fit is not None and fit.landmarks is not None]

    @cached_property
    def typical_landmarks(self) -> NDArray[np.float64] | None:
        """(k, 3) the median landmarks in the reference's frame, NaN of those that too few objects have.

        None if there are too few objects.
        """
        if len(self.fitted) < MIN_FOR_SPREAD:
            return None
        landmarks = np.array([landmarks for _, landmarks in self.fitted])
        is_common = np.isfinite(landmarks[..., :1]).sum(axis=0) >= MIN_FOR_SPREAD
        return np.where(is_common, medians(landmarks), np.nan)

    @cached_property
    def in_one_place(self) -> Mapping[str, tuple[int, int]]:
        """The objects with two landmarks in the same place, left and right above all, and these two."""
        places = {row.object_id: same_place(labels, row.size_mm, self.pairs) for row, labels in self.labelled}
        return {object_id: both for object_id, both in places.items() if both is not None}

    @cached_property
    def labels_axis(self) -> NDArray[np.float64] | None:
        """(3,) the median unit vector from right to left, object frame; shorter than 1 if objects disagree."""
        vectors = np.array([across(labels.landmarks_mm, self.pairs) for _, labels in self.labelled]).reshape(-1, 3)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        known = lengths.ravel() > 0  # NaN is not
        return np.median(vectors[known] / lengths[known], axis=0) if known.any() else None

    @cached_property
    def swapped(self) -> Mapping[str, Sequence[int]]:
        """The pairs whose left and right are exchanged compared with most objects, by object."""
        if self.typical_landmarks is not None:
            places = {row.object_id: landmarks for row, landmarks in self.fitted}
            axes = across(self.typical_landmarks, self.pairs)
        elif self.labels_axis is not None:
            places = {row.object_id: labels.landmarks_mm for row, labels in self.labelled}
            axes = np.tile(self.labels_axis, (len(self.pairs), 1))
        else:
            return {}
        exchanged = {name: opposite(across(landmarks, self.pairs), axes) for name, landmarks in places.items()}
        return {name: found for name, found in exchanged.items() if found}

    @cached_property
    def suspects(self) -> Sequence[Suspect]:
        """The labels that are probably mistakes, worst first; those of objects in other axes or shapes are left out."""
        odd = self.unlike | self.with_strays | frozenset(self.turned)
        rows = [(row, labels) for row, labels in self.labelled if row.object_id not in odd]
        return label_suspects(self.dataset.landmarks, rows, self.reference)

    def is_mirrored(self, object_id: str) -> bool:
        """Whether the left and right of all labelled pairs of an object are exchanged."""
        swapped = self.swapped.get(object_id)
        if not swapped:
            return False
        labels = next(labels for row, labels in self.labelled if row.object_id == object_id)
        return len(swapped) == np.isfinite(across(labels.landmarks_mm, self.pairs)).all(axis=1).sum()

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
