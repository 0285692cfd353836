"""The landmarks of an import on their way to a dataset: their placement on the meshes, and landmarks.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.landmark_files.importing import Imported
from featurelib.datasets.landmark_files.placement import Placement, placement
from featurelib.datasets.landmark_table import read_landmarks, write_pairs
from featurelib.datasets.landmark_text import merge_landmarks
from featurelib.datasets.mesh_import import read_mesh_file
from featurelib.datasets.objects_table import merge_objects
from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, Alignment, LandmarkSet
from featurelib.meshes import parse_mesh
from featurelib.runtime import storage

PLACEMENT_SAMPLE = 9
"""Number of objects on which other units and axes are tried; this takes half a second."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What is written of some objects.

    points: (k, 3) by object in the set's order, NaN where not labelled. absent: (k,) by object, whether the landmark
    does not exist on it, for those that lack any. is_named: (k,) whether the files have the landmark at all.
    extras: group and split by object, for those that have one.
    """

    landmarks: LandmarkSet
    points: Mapping[str, NDArray[np.float64]]
    absent: Mapping[str, NDArray[np.bool_]]
    is_named: NDArray[np.bool_]
    extras: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, landmarks: LandmarkSet, imported: Imported, points: Mapping[str, NDArray[np.float64]]) -> Self:
        """Return imported landmarks whose `points` (k, 3) by object are on the meshes, in the order of a set."""
        names = landmarks.names
        return cls(
            landmarks,
            {i: in_order(xyz, imported.names, names) for i, xyz in points.items()},
            {i: np.array([name in gone for name in names]) for i, gone in imported.absent.items() if i in points},
            np.array([name in imported.names for name in names]),
            {i: extra for i, extra in imported.extras.items() if i in points and any(extra)},
        )

    @property
    def counts(self) -> dict[str, int]:
        """The number of objects that have each landmark, by name; empty without objects."""
        if not self.points:
            return {}
        numbers = np.isfinite([*self.points.values()]).all(axis=2).sum(axis=0)
        return dict(zip(self.landmarks.names, numbers.tolist(), strict=True))

    def added_to(self, earlier: bytes, uri: str) -> Self:
        """Return the labels with those that a landmarks.csv has of landmarks that the new files do not name."""
        if self.is_named.all() or not earlier:
            return self
        known = read_landmarks(earlier, uri, self.landmarks, [])
        values = np.frombuffer(known.values).reshape(-1, len(self.is_named), 3)
        gone = np.frombuffer(known.absent, dtype=bool).reshape(-1, len(self.is_named))
        points, absent = {**self.points}, {**self.absent}
        for object_id in points.keys() & known.places.keys():
            place = known.places[object_id]
            points[object_id] = np.where(self.is_named[:, None], points[object_id], values[place])
            absent[object_id] = np.where(self.is_named, absent.get(object_id, False), gone[place])
        return replace(self, points=points, absent=absent)


def write_labels(labels: Labels, out: str, *, is_pair: bool) -> list[str]:
    """Write landmarks.csv and objects.csv of a dataset, keeping the rows of other objects and other landmarks.

    Args:
        labels: at least one.
        out: URI of the dataset.
        is_pair: whether a new landmarks.csv has one row per object.

    Returns:
        The objects of landmarks.csv.
    """
    uri, extras_uri = (storage.join(out, name) for name in ("landmarks.csv", "objects.csv"))
    new = write_pairs({}) if is_pair and not labels.absent else b""
    earlier = storage.read_bytes(uri) if storage.exists(uri) else new
    merged = labels.added_to(earlier, uri)
    content, object_ids = merge_landmarks(earlier, uri, labels.landmarks, merged.points, merged.absent)
    storage.write_bytes(uri, content)
    if labels.extras:
        known = storage.read_bytes(extras_uri) if storage.exists(extras_uri) else b""
        storage.write_bytes(extras_uri, merge_objects(known, extras_uri, labels.extras))
    return object_ids


def positions(points: Sequence[Xyz | None]) -> NDArray[np.float64]:
    """Return points as (k, 3), NaN for None."""
    return np.array([(np.nan, np.nan, np.nan) if xyz is None else xyz for xyz in points], dtype=np.float64)


def in_order(points: NDArray[np.float64], names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float64]:
    """Return points (k, 3) of some names in the order of others, NaN for a name that is not among them."""
    place = {name: k for k, name in enumerate(names)}
    return np.array([points[place[name]] if name in place else [np.nan] * 3 for name in wanted])


def sampled_placement(imported: Imported, meshes: Mapping[str, str], unit: str, read_unit: str) -> Placement | None:
    """Return the placement of the landmarks on a few of the meshes; None if none of these can be read."""
    chosen = [*imported.landmarks][:: max(1, len(imported.landmarks) // PLACEMENT_SAMPLE)][:PLACEMENT_SAMPLE]
    mm = Alignment().object_from_source(unit)
    objects = []
    for object_id in chosen:
        content, name = read_mesh_file(meshes[object_id])
        try:
            mesh = parse_mesh(content, name, mm)
        except DataError:
            continue  # `validate` reports bad meshes
        objects.append((mesh.vertices_mm / MM_PER_UNIT[unit], positions(imported.landmarks[object_id])))
    turn = any(imported.spaces[object_id] for object_id in chosen)
    return placement(objects, read_unit, turn=turn) if objects else None
