"""RUN/vectors/<projection>.parquet: detected and true positions of each object in all views."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from featurelib.datasets.schemas import vectors_schema
from featurelib.errors import DataError
from featurelib.geometry import SIDES, mirror_pair, mirror_views, mirror_xy
from featurelib.runtime import parquet, storage

CONFIG_KEY = b"featurelib.config"


@dataclass(frozen=True, eq=False)
class Vectors:
    """n objects in v views, in rig order.

    object_ids, splits: (n,) text.
    xy, xy_true: (n, v, 2) near positions, detected and true.
    landmarks_mm: (n, 2, 3) true landmarks, object frame. centre_mm: (n, 3) point in the centre of all images.
    landmarks_xy: (n, v, 2, 2) detected positions of left and right. spread: (n, v, 2) standard deviation of the
    detector's maps, as a share of the width. visible: (n, v, 2) probability that each instance is visible.
    The last three are NaN if the detector does not distinguish the sides; NaN is also their default.
    """

    object_ids: NDArray[np.str_]
    splits: NDArray[np.str_]
    xy: NDArray[np.float64]
    xy_true: NDArray[np.float64]
    landmarks_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    landmarks_xy: NDArray[np.float64] = np.nan  # type: ignore[assignment]
    spread: NDArray[np.float64] = np.nan  # type: ignore[assignment]
    visible: NDArray[np.float64] = np.nan  # type: ignore[assignment]

    def __post_init__(self) -> None:
        shapes = {"landmarks_xy": (*self.xy.shape[:2], 2, 2), "spread": (*self.xy.shape[:2], 2)}
        for name, shape in {**shapes, "visible": shapes["spread"]}.items():
            object.__setattr__(self, name, np.broadcast_to(getattr(self, name), shape))

    def __len__(self) -> int:
        return len(self.object_ids)

    @property
    def target_mm(self) -> NDArray[np.float64]:
        """(n, 2, 3) true landmarks relative to the centre, the lifter's targets."""
        return self.landmarks_mm - self.centre_mm[:, None]

    @property
    def seen_xy(self) -> NDArray[np.float64]:
        """(n, v, 2, 2) landmarks_xy; if the detector does not distinguish the sides, its near position for both.

        So the nearer instance's position is the detected one in either case.
        """
        return np.where(np.isnan(self.landmarks_xy), self.xy[:, :, None], self.landmarks_xy)

    def where(self, split: str) -> Self:
        """Return the objects of one split."""
        return self.take(np.flatnonzero(self.splits == split))

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """Return some of the objects, by their indices (m,)."""
        return type(self)(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def evenly(self, most: int) -> NDArray[np.intp]:
        """Return the indices of at most `most` objects, evenly spread over the ids."""
        return np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.intp))

    def with_mirrors(self) -> Self:
        """Return each object twice: unchanged, and mirrored in the left-right plane through its centre.

        The rig is symmetric, so view i of the mirrored object is the mirror image of view v - 1 - i of the object.
        """
        mirrored_mm = mirror_pair(self.target_mm) + self.centre_mm[:, None]
        return type(self)(
            np.concatenate([self.object_ids, self.object_ids]),
            np.concatenate([self.splits, self.splits]),
            np.concatenate([self.xy, mirror_views(self.xy)]),
            np.concatenate([self.xy_true, mirror_views(self.xy_true)]),
            np.concatenate([self.landmarks_mm, mirrored_mm]),
            np.concatenate([self.centre_mm, self.centre_mm]),
            np.concatenate([self.landmarks_xy, mirror_xy(self.landmarks_xy)[:, ::-1, ::-1]]),
            np.concatenate([self.spread, self.spread[:, ::-1, ::-1]]),
            np.concatenate([self.visible, self.visible[:, ::-1, ::-1]]),
        )


def vectors_uri(run: str, projection: str) -> str:
    """Return the URI of a projection's vectors."""
    return storage.join(storage.absolute(run), "vectors", f"{projection}.parquet")


def write_vectors(uri: str, rows: Sequence[Mapping[str, Any]], num_views: int, config: Mapping[str, Any]) -> None:
    """Write rows of `vectors_schema`, sorted by object, with the configuration that made them in the footer."""
    schema = vectors_schema(num_views).with_metadata({CONFIG_KEY: json.dumps(config).encode()})
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: row["object_id"]), schema=schema)
    parquet.write_table(uri, table)


def read_config(uri: str) -> dict[str, Any]:
    """Return the configuration that made the vectors; empty if the file is missing."""
    if not storage.exists(uri):
        return {}
    config: dict[str, Any] = json.loads(pq.read_schema(io.BytesIO(storage.read_bytes(uri))).metadata[CONFIG_KEY])
    return config


def read_vectors(run: str, projection: str) -> Vectors:
    """Return the vectors of a run.

    Raises:
        DataError: if the file is missing.
    """
    uri = vectors_uri(run, projection)
    if not storage.exists(uri):
        raise DataError(f"{uri}: no vectors; run `featurelib vectorize --projection {projection}`")
    table = parquet.read_table(uri)
    num_views = table.schema.field("xy").type.list_size // 2

    def numbers(name: str, *shape: int) -> NDArray[np.float64]:
        return np.array(table[name].to_pylist(), dtype=np.float64).reshape(len(table), *shape)

    def sides(name: str, *shape: int) -> NDArray[np.float64]:
        return np.stack([numbers(f"{side}_{name}", *shape) for side in SIDES], axis=2)

    return Vectors(
        object_ids=np.array(table["object_id"].to_pylist(), dtype=np.str_),
        splits=np.array(table["split"].to_pylist(), dtype=np.str_),
        xy=numbers("xy", num_views, 2),
        xy_true=numbers("xy_true", num_views, 2),
        landmarks_mm=numbers("target_mm", 2, 3),
        centre_mm=numbers("centre_mm", 3),
        landmarks_xy=sides("xy", num_views, 2),
        spread=sides("spread", num_views),
        visible=sides("visible", num_views),
    )


def refuse_empty_splits(run: str, projection: str, vectors: Vectors, splits: Sequence[str]) -> None:
    """Raise DataError if a split has no objects."""
    for split in splits:
        if split not in vectors.splits:
            uri = vectors_uri(run, projection)
            raise DataError(f"{uri}: no objects in the {split} split; label more objects or set `split`")
