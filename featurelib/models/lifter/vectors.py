"""RUN/vectors/<projection>.parquet: detected and true positions of each object in all views."""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from featurelib.datasets.splits import EVERY
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, mirror_landmarks, mirror_permutation, mirror_views, mirror_xy, permuted
from featurelib.runtime import parquet, storage

CONFIG_KEY = b"featurelib.config"


@dataclass(frozen=True, eq=False)
class Vectors:
    """n objects in v views, in rig order, with k landmarks in s slots.

    landmarks: the set. object_ids, splits: (n,) text.
    xy, xy_true: (n, s, v, 2) positions of each slot's near landmark, detected and true; the true ones are NaN where not
    known. Of a pair without both labels, xy is the detected position on the side that the view shows.
    landmarks_mm: (n, k, 3) true landmarks, object frame; NaN where not labelled. absent: (n, k) whether a landmark does
    not exist. centre_mm: (n, 3) point in the centre of all images.
    landmarks_xy: (n, v, k, 2) detected positions. spread: (n, v, k) standard deviation of the detector's maps, as a
    share of the width. visible: (n, v, k) probability that each landmark is visible.
    The last three are NaN if the detector finds only near landmarks; NaN is also their default.
    """

    landmarks: LandmarkSet
    object_ids: NDArray[np.str_]
    splits: NDArray[np.str_]
    xy: NDArray[np.float64]
    xy_true: NDArray[np.float64]
    landmarks_mm: NDArray[np.float64]
    absent: NDArray[np.bool_]
    centre_mm: NDArray[np.float64]
    landmarks_xy: NDArray[np.float64] = np.nan  # type: ignore[assignment]
    spread: NDArray[np.float64] = np.nan  # type: ignore[assignment]
    visible: NDArray[np.float64] = np.nan  # type: ignore[assignment]

    def __post_init__(self) -> None:
        each = (len(self.xy), self.xy.shape[2], len(self.landmarks.names))
        for name, shape in {"landmarks_xy": (*each, 2), "spread": each, "visible": each}.items():
            object.__setattr__(self, name, np.broadcast_to(getattr(self, name), shape))

    def __len__(self) -> int:
        return len(self.object_ids)

    @property
    def target_mm(self) -> NDArray[np.float64]:
        """(n, k, 3) true landmarks relative to the centre, the lifter's targets."""
        return self.landmarks_mm - self.centre_mm[:, None]

    @property
    def seen_xy(self) -> NDArray[np.float64]:
        """(n, v, k, 2) landmarks_xy; if the detector finds only near landmarks, the near position for both of a pair.

        So the nearer landmark's position is the detected one in either case.
        """
        near_xy = np.moveaxis(self.xy, 1, 2)[:, :, self.landmarks.slot_of]
        return np.where(np.isnan(self.landmarks_xy), near_xy, self.landmarks_xy)

    @property
    def num_objects(self) -> dict[str, int]:
        """The number of objects by split."""
        return dict(Counter(self.splits.tolist()))

    def where(self, split: str) -> Self:
        """Return the objects of one split; those of a final training are for training and for validation."""
        return self.take(np.flatnonzero(np.isin(self.splits, [split, *([EVERY] if split != "test" else [])])))

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """Return some of the objects, by their indices (m,)."""
        rows: dict[str, Any] = {name: getattr(self, name)[chosen] for name in ARRAYS}
        return replace(self, **rows)

    def evenly(self, most: int) -> NDArray[np.intp]:
        """Return the indices of at most `most` objects, evenly spread over the ids."""
        return np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.intp))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return the objects of all parts, which have one landmark set."""
        rows: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
        return replace(parts[0], **rows)

    def with_mirrors(self) -> Self:
        """Return each object twice: unchanged, and mirrored in the left-right plane through its centre.

        The rig is symmetric, so view i of the mirrored object is the mirror image of view v - 1 - i of the object.
        Landmarks without a mirror image are NaN. If the set has no mirror image, each object is returned once.
        """
        mirrored = self.mirrored()
        if mirrored is None:
            return self
        return self.concat([self, mirrored])

    def mirrored(self) -> Self | None:
        """Return each object mirrored in the left-right plane through its centre; None if the set forbids it."""
        permutation = mirror_permutation(self.landmarks)
        if permutation is None:
            return None
        has_image = (permutation[self.landmarks.slots[:, 0]] >= 0)[:, None, None]
        return replace(
            self,
            xy=np.where(has_image, mirror_views(self.xy), np.nan),
            xy_true=np.where(has_image, mirror_views(self.xy_true), np.nan),
            landmarks_mm=mirror_landmarks(self.target_mm, permutation) + self.centre_mm[:, None],
            absent=permuted(self.absent, permutation, axis=-1),
            landmarks_xy=permuted(mirror_xy(self.landmarks_xy)[:, ::-1], permutation),
            spread=permuted(self.spread[:, ::-1], permutation, axis=-1),
            visible=permuted(self.visible[:, ::-1], permutation, axis=-1),
        )


ARRAYS = tuple(field.name for field in fields(Vectors) if field.name != "landmarks")
"""The fields of Vectors with a row for each object."""


def vectors_uri(run: str, projection: str) -> str:
    """Return the URI of a projection's vectors."""
    return storage.join(storage.absolute(run), "vectors", f"{projection}.parquet")


def write_vectors(uri: str, rows: Sequence[pa.Table], schema: pa.Schema, config: Mapping[str, Any]) -> None:
    """Write rows of `vectors_schema`, sorted by object.

    Args:
        uri: of the file.
        rows: tables of this schema.
        schema: of the landmark set and the number of views.
        config: what made them, with LandmarkSet.to_record; it is written into the footer.
    """
    table = pa.concat_tables([schema.empty_table(), *rows]).sort_by("object_id")
    parquet.write_table(uri, table.replace_schema_metadata({CONFIG_KEY: json.dumps(config)}))


def read_config(uri: str) -> dict[str, Any]:
    """Return the configuration that made the vectors; empty if the file is missing."""
    if not storage.exists(uri):
        return {}
    config: dict[str, Any] = json.loads(pq.read_schema(io.BytesIO(storage.read_bytes(uri))).metadata[CONFIG_KEY])
    return config


def read_vectors(run: str, projection: str) -> Vectors:
    """Return the vectors of a run.

    Raises:
        DataError: if the file is missing, or another version of featurelib wrote it.
    """
    uri = vectors_uri(run, projection)
    if not storage.exists(uri):
        raise DataError(f"{uri}: no vectors; run `featurelib vectorize --projection {projection}`")
    table = parquet.read_table(uri)
    landmarks = LandmarkSet.from_record(json.loads(table.schema.metadata[CONFIG_KEY]), name=uri)
    num_landmarks, num_slots = len(landmarks.names), len(landmarks.slots)
    num_views = table.schema.field("xy").type.list_size // (2 * num_slots)

    def numbers(name: str, *shape: int) -> NDArray[Any]:
        values: NDArray[Any] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return values.reshape(len(table), *shape)

    def floats(name: str, *shape: int) -> NDArray[np.float64]:
        return numbers(name, *shape).astype(np.float64)

    return Vectors(
        landmarks=landmarks,
        object_ids=np.array(table["object_id"].to_pylist(), dtype=np.str_),
        splits=np.array(table["split"].to_pylist(), dtype=np.str_),
        xy=floats("xy", num_slots, num_views, 2),
        xy_true=floats("xy_true", num_slots, num_views, 2),
        landmarks_mm=floats("target_mm", num_landmarks, 3),
        absent=numbers("absent", num_landmarks),
        centre_mm=floats("centre_mm", 3),
        landmarks_xy=floats("landmarks_xy", num_views, num_landmarks, 2),
        spread=floats("landmarks_spread", num_views, num_landmarks),
        visible=floats("landmarks_visible", num_views, num_landmarks),
    )


def refuse_gathered(run: str, projection: str) -> None:
    """Raise DataError if the vectors are those of folds, of which no object is in one split only."""
    uri = vectors_uri(run, projection)
    if "folds" in read_config(uri):
        raise DataError(f"{uri}: gathered from folds; run `featurelib pipeline --folds` again, or train from the start")


def refuse_empty_splits(run: str, projection: str, vectors: Vectors, splits: Sequence[str]) -> None:
    """Raise DataError if a split has no objects, or if the vectors are those of a final training."""
    uri = vectors_uri(run, projection)
    refuse_gathered(run, projection)
    for split in splits:
        if split not in vectors.splits:
            raise DataError(f"{uri}: no objects in the {split} split; label more objects or set `split`")
